package codec

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// Binary reads one CloudEvent in binary mode: attributes in ce-… headers,
// data as the body. Errors as Structured.
func (d *Decoder) Binary(header http.Header, body []byte) (Message, error) {
	if len(body) > d.limits.EventBytes {
		return Message{}, d.tooLong(len(body))
	}
	d.reset(body)
	d.readHeaders(header)
	if len(bytes.TrimSpace(body)) > 0 {
		d.env.hasData = true
		d.readData("data")
		d.end()
	}
	return d.message()
}

// readHeaders reads the attributes. Header values are percent-encoded
// (CloudEvents HTTP binding); each may stand once.
func (d *Decoder) readHeaders(header http.Header) {
	var names []string
	for name := range header {
		if len(name) > 3 && strings.EqualFold(name[:3], "ce-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		attribute := strings.ToLower(name[3:])
		values := header[name]
		if len(values) != 1 {
			d.violate(RuleDuplicate, attribute, strings.Join(values, ", "), "The header must stand once.")
			continue
		}
		value, err := url.PathUnescape(values[0])
		if err != nil {
			d.violate(RuleAttributeForm, attribute, values[0], "The header is not percent-encoded text.")
			continue
		}
		d.header(attribute, value)
	}
	d.env.contentType = header.Get("Content-Type")
}

func (d *Decoder) header(attribute, value string) {
	e := &d.env
	switch attribute {
	case "specversion":
		e.specversion = value
	case "id":
		e.id = value
	case "source":
		e.source = value
	case "type":
		e.typ = value
	case "reporter":
		e.reporter = value
	case "reason":
		if e.reason = value; value == "" {
			d.violate(RuleAttributeForm, "reason", "", "a reason that is given must say something")
		}
	case "time", "subject", "dataschema", "traceparent", "tracestate":
	default:
		d.violate(RuleUnknownField, attribute, value, "There are "+attributesKnown+".")
	}
}

// IsBinary tells whether a request's headers carry a CloudEvent in binary mode.
func IsBinary(header http.Header) bool {
	return header.Get("Ce-Specversion") != "" || header.Get("Ce-Id") != ""
}

// Item is one event of a batch or of a stream of lines.
type Item struct {
	Line    int // 1-based: line of the stream, or place in the batch
	Message Message
	Err     error // *fault.Fault: this event is refused; others are not touched
}

// Batch reads a JSON batch: an array of structured events. An event that is
// refused has its own error in its Item. The error is for the batch as a whole
// (*fault.Fault, Malformed or TooLarge, or what the source failed with), and
// then nothing of it is to be recorded.
func (d *Decoder) Batch(src io.Reader) ([]Item, error) {
	// Each event is cut out as a raw value first, so that a wrong one does not
	// derail its neighbours. Names that stand twice are its own fault.
	array := jsontext.NewDecoder(src, jsontext.AllowDuplicateNames(true))
	if kind := array.PeekKind(); kind != jsontext.KindBeginArray {
		if err := sourceError(array); err != nil {
			return nil, err
		}
		return nil, batchFault(RuleType, "", "a batch must be a JSON array of events", nil)
	}
	if _, err := array.ReadToken(); err != nil {
		return nil, batchFault(RuleSyntax, "", "the batch is not JSON", err)
	}
	var items []Item
	for array.PeekKind() != jsontext.KindEndArray {
		if len(items) >= d.limits.BatchEvents {
			return nil, &fault.Fault{Kind: fault.TooLarge, Detail: "the batch has too many events", Violations: []fault.Violation{
				flow.Violates(RuleTooMany, "batch", "", fmt.Sprintf("It may have at most %d; send lines (application/x-ndjson) instead.", d.limits.BatchEvents)),
			}}
		}
		raw, err := array.ReadValue()
		if err != nil {
			return nil, batchError(err, len(items))
		}
		item := Item{Line: len(items) + 1}
		item.Message, item.Err = d.Structured(raw)
		items = append(items, item.located())
	}
	if _, err := array.ReadToken(); err != nil {
		return nil, batchError(err, len(items))
	}
	if _, err := array.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, batchFault(RuleSyntax, "", "there is something behind the batch", err)
	}
	return items, nil
}

// sourceError is the error of a source that failed before the first value;
// nil when there simply is another value.
func sourceError(array *jsontext.Decoder) error {
	if array.PeekKind() != jsontext.KindInvalid {
		return nil
	}
	_, err := array.ReadToken()
	return batchError(err, 0)
}

func batchError(err error, events int) error {
	var syntactic *jsontext.SyntacticError
	if !errors.As(err, &syntactic) && !isEOF(err) {
		return fmt.Errorf("read batch: %w", err)
	}
	return batchFault(RuleSyntax, fmt.Sprintf("[%d]", events), "the batch is not JSON, nothing of it is recorded", err)
}

func batchFault(rule, field, detail string, cause error) error {
	why := ""
	var syntactic *jsontext.SyntacticError
	if errors.As(cause, &syntactic) {
		why = fmt.Sprintf("At byte %d: %v.", syntactic.ByteOffset, syntactic.Err)
	}
	return &fault.Fault{Kind: fault.Malformed, Detail: detail, Cause: cause,
		Violations: []fault.Violation{flow.Violates(rule, "batch"+field, "", why)}}
}

// located writes the line into the violations of an item.
func (i Item) located() Item {
	var f *fault.Fault
	if errors.As(i.Err, &f) {
		for n := range f.Violations {
			f.Violations[n].Line = i.Line
		}
	}
	return i
}

// Lines reads structured events, one a line (NDJSON), of a stream of any
// length. Blank lines are passed over, and counted. For one goroutine.
type Lines struct {
	d    *Decoder
	src  *bufio.Reader
	line int
}

// Lines reads from src.
func (d *Decoder) Lines(src io.Reader) *Lines {
	return &Lines{d: d, src: bufio.NewReaderSize(src, d.limits.EventBytes+2)}
}

// Next returns the next event. A line that is too long or is no event is an
// Item with an error, and reading goes on. Errors: io.EOF at the end,
// otherwise what the source failed with.
func (l *Lines) Next() (Item, error) {
	for {
		text, err := l.src.ReadSlice('\n')
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !tooLong && !errors.Is(err, io.EOF) {
			return Item{}, err
		}
		if len(text) == 0 {
			return Item{}, io.EOF
		}
		l.line++
		item := Item{Line: l.line}
		if tooLong {
			size, err := l.skipLine(len(text))
			if err != nil {
				return Item{}, err
			}
			item.Err = l.d.tooLong(size)
			return item.located(), nil
		}
		if l.line == 1 {
			text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		}
		text = bytes.TrimSpace(text)
		if len(text) == 0 {
			continue
		}
		item.Message, item.Err = l.d.Structured(text)
		return item.located(), nil
	}
}

// Waiting tells that no whole line is buffered: reading on may have to wait
// for the sender.
func (l *Lines) Waiting() bool {
	buffered, err := l.src.Peek(l.src.Buffered())
	return err != nil || bytes.IndexByte(buffered, '\n') < 0
}

func (l *Lines) skipLine(size int) (int, error) {
	for {
		text, err := l.src.ReadSlice('\n')
		size += len(text)
		switch {
		case err == nil, errors.Is(err, io.EOF):
			return size, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return size, err
		}
	}
}
