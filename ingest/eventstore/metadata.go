package eventstore

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// Keys of message metadata that the Publisher reads. They are not stored as
// metadata, save for the ids of correlation and causation.
const (
	// MetaExpectedRevision is what the stream is expected to be: "any" (the
	// default), "no-stream", or the number of its last revision. Messages of
	// one Publish that carry it must agree. See SetExpected.
	MetaExpectedRevision = "es_expected_revision"
	// MetaEventID is the event's id, a UUID. It must not repeat within one
	// Publish. Without it see Publisher.
	MetaEventID = "es_event_id"
	// MetaEventType is the event's type; default PublisherConfig.EventType.
	// The Subscriber sets it.
	MetaEventType = "es_event_type"
	// MetaRaw is a JSON object that becomes the event's metadata as it stands;
	// the rest of the message's metadata is added to it, and wins. The
	// Subscriber sets it when the event's metadata is more than strings.
	MetaRaw = "es_metadata"
	// MetaCorrelationID is stored as $correlationId. It is the key that
	// Watermill's correlation middleware uses.
	MetaCorrelationID = "correlation_id"
	// MetaCausationID is stored as $causationId.
	MetaCausationID = "causation_id"
)

// Keys of message metadata that are set: by the Publisher when the append is
// durable, and by the Subscriber.
const (
	// MetaRevision is the event's revision in its stream, a decimal number.
	MetaRevision = "es_revision"
	// MetaPosition is a position in the whole log, like C:42/P:42: after
	// Publish that of the last event of the append, on a received message
	// the event's own.
	MetaPosition = "es_position"
)

// metaToken keeps the event id of a message without a usable UUID the same
// when its Publish is repeated.
const metaToken = "es_publish_token"

// Names in the stored JSON that are not plain message metadata.
const (
	wireCorrelation = "$correlationId"
	wireCausation   = "$causationId"
	wireUUID        = "watermill_uuid"
	wireUUID64      = "watermill_uuid_base64"
	wireEscaped     = "watermill_escaped"
)

// reserved are the keys of message metadata that are never stored.
func reserved(key string) bool {
	switch key {
	case MetaExpectedRevision, MetaEventID, MetaEventType, MetaRaw, MetaRevision, MetaPosition, metaToken:
		return true
	}
	return false
}

// SetExpected says in the message's metadata what the stream is expected to be.
func SetExpected(m *message.Message, e eventlog.Expected) {
	m.Metadata.Set(MetaExpectedRevision, e.String())
}

// ParseExpected reads an expectation as SetExpected writes it. Empty is any.
func ParseExpected(s string) (eventlog.Expected, error) {
	switch s {
	case "", eventlog.Any().String():
		return eventlog.Any(), nil
	case eventlog.NoStream().String():
		return eventlog.NoStream(), nil
	}
	revision, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return eventlog.Expected{}, fmt.Errorf("%s is %q, must be any, no-stream or a revision", MetaExpectedRevision, s)
	}
	return eventlog.Exactly(revision), nil
}

// AppendedOf tells where the message is in the log: after Publish, the
// message's revision and the position of its append; on a received message its
// own. ok is false for a message that was neither published nor received.
func AppendedOf(m *message.Message) (at eventlog.Appended, ok bool) {
	revision, err := strconv.ParseUint(m.Metadata.Get(MetaRevision), 10, 64)
	if err != nil {
		return eventlog.Appended{}, false
	}
	position, err := ParsePosition(m.Metadata.Get(MetaPosition))
	if err != nil {
		return eventlog.Appended{}, false
	}
	return eventlog.Appended{Revision: revision, Position: position}, true
}

// ParsePosition reads a position as eventlog.Position.String writes it.
func ParsePosition(s string) (eventlog.Position, error) {
	commit, prepare, ok := strings.Cut(s, "/")
	c, cok := strings.CutPrefix(commit, "C:")
	p, pok := strings.CutPrefix(prepare, "P:")
	if !ok || !cok || !pok {
		return eventlog.Position{}, fmt.Errorf("position is %q, must look like C:42/P:42", s)
	}
	cn, cerr := strconv.ParseUint(c, 10, 64)
	pn, perr := strconv.ParseUint(p, 10, 64)
	if err := errors.Join(cerr, perr); err != nil {
		return eventlog.Position{}, fmt.Errorf("position is %q, must look like C:42/P:42: %w", s, err)
	}
	return eventlog.Position{Commit: cn, Prepare: pn}, nil
}

type recordedKey struct{}

// RecordedOf returns the event behind a received message; ok is false for any
// other message.
func RecordedOf(m *message.Message) (eventlog.Recorded, bool) {
	event, ok := m.Context().Value(recordedKey{}).(eventlog.Recorded)
	return event, ok
}

func withRecorded(ctx context.Context, e eventlog.Recorded) context.Context {
	return context.WithValue(ctx, recordedKey{}, e)
}

// encodeMeta writes the metadata that is stored with a message: its metadata
// as the members of one JSON object, sorted, and its UUID where that is not
// the event's id. Same message, same bytes. It is nil when there is nothing to
// write.
func encodeMeta(m *message.Message, eventID string) ([]byte, error) {
	members := map[string]string{}
	escaped := map[string]string{}
	for key, value := range m.Metadata {
		if reserved(key) {
			continue
		}
		name := wireName(key)
		if !utf8.ValidString(value) || name == "" {
			escaped[encode64(key)] = encode64(value)
			continue
		}
		members[name] = value
	}
	if m.UUID != eventID {
		if utf8.ValidString(m.UUID) {
			members[wireUUID] = m.UUID
		} else {
			members[wireUUID64] = encode64(m.UUID)
		}
	}
	raw := m.Metadata.Get(MetaRaw)
	if len(members) == 0 && len(escaped) == 0 {
		return checkRaw(raw)
	}
	values, err := rawMembers(raw)
	if err != nil {
		return nil, err
	}
	for name, value := range members {
		if values[name], err = jsontext.AppendQuote(nil, value); err != nil {
			return nil, fmt.Errorf("metadata %q: %w", name, err)
		}
	}
	if len(escaped) > 0 {
		if values[wireEscaped], err = encodeEscaped(escaped); err != nil {
			return nil, err
		}
	}
	return encodeObject(values)
}

// wireName is the name under which a key of message metadata is stored; empty
// when it must be escaped, because the log or this package gives the name a
// meaning of its own, or because it is not UTF-8.
func wireName(key string) string {
	switch key {
	case MetaCorrelationID:
		return wireCorrelation
	case MetaCausationID:
		return wireCausation
	case "", wireUUID, wireUUID64, wireEscaped:
		return ""
	}
	if strings.HasPrefix(key, "$") || !utf8.ValidString(key) {
		return ""
	}
	return key
}

func encode64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func encodeEscaped(escaped map[string]string) (jsontext.Value, error) {
	values := make(map[string]jsontext.Value, len(escaped))
	for k, v := range escaped {
		quoted, err := jsontext.AppendQuote(nil, v)
		if err != nil {
			return nil, fmt.Errorf("escape metadata: %w", err)
		}
		values[k] = quoted
	}
	return encodeObject(values)
}

func encodeObject(values map[string]jsontext.Value) (jsontext.Value, error) {
	var out bytes.Buffer
	enc := jsontext.NewEncoder(&out)
	err := enc.WriteToken(jsontext.BeginObject)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		err = errors.Join(err, enc.WriteToken(jsontext.String(name)), enc.WriteValue(values[name]))
	}
	if err = errors.Join(err, enc.WriteToken(jsontext.EndObject)); err != nil {
		return nil, fmt.Errorf("write metadata: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// checkRaw returns metadata given as JSON unchanged.
func checkRaw(raw string) ([]byte, error) {
	if raw == "" {
		return nil, nil
	}
	if _, err := rawMembers(raw); err != nil {
		return nil, err
	}
	return []byte(raw), nil
}

// rawMembers returns the members of a JSON object.
func rawMembers(raw string) (map[string]jsontext.Value, error) {
	members := map[string]jsontext.Value{}
	if raw == "" {
		return members, nil
	}
	dec := jsontext.NewDecoder(strings.NewReader(raw))
	token, err := dec.ReadToken()
	if err != nil || token.Kind() != '{' {
		return nil, fmt.Errorf("%s must be a JSON object, is %.100q", MetaRaw, raw)
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", MetaRaw, err)
		}
		key := name.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, fmt.Errorf("%s: member %q: %w", MetaRaw, key, err)
		}
		members[key] = value.Clone()
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, fmt.Errorf("%s: %w", MetaRaw, err)
	}
	if dec.PeekKind() != jsontext.KindInvalid {
		return nil, fmt.Errorf("%s must be one JSON object, is %.100q", MetaRaw, raw)
	}
	return members, nil
}

// toMessage builds the message of an event. Metadata that this package did not
// write comes through as well: members that are strings under their names, and
// the whole, whatever it is, under MetaRaw when there is more to it.
func toMessage(e eventlog.Recorded) *message.Message {
	m := message.NewMessage(e.ID.String(), e.Data)
	decodeMeta(m, e.Meta)
	m.Metadata.Set(MetaEventType, e.Type)
	m.Metadata.Set(MetaRevision, strconv.FormatUint(e.Revision, 10))
	m.Metadata.Set(MetaPosition, e.Position.String())
	return m
}

func decodeMeta(m *message.Message, meta []byte) {
	if len(meta) == 0 {
		return
	}
	members, err := rawMembers(string(meta))
	if err != nil { // not ours and not JSON: hand it on as it is
		m.Metadata.Set(MetaRaw, string(meta))
		return
	}
	plain := true
	for name, value := range members {
		plain = decodeMember(m, name, value) && plain
	}
	if !plain {
		m.Metadata.Set(MetaRaw, string(meta))
	}
}

// decodeMember puts one member of stored metadata into the message; false when
// it is not one that a Publisher writes.
func decodeMember(m *message.Message, name string, value jsontext.Value) bool {
	if name == wireEscaped && value.Kind() == '{' {
		return decodeEscaped(m, value)
	}
	if value.Kind() != '"' {
		return false
	}
	text, err := jsontext.AppendUnquote(nil, value)
	if err != nil {
		return false
	}
	switch name {
	case wireUUID:
		m.UUID = string(text)
	case wireUUID64:
		id, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil {
			return false
		}
		m.UUID = string(id)
	case wireCorrelation:
		m.Metadata.Set(MetaCorrelationID, string(text))
	case wireCausation:
		m.Metadata.Set(MetaCausationID, string(text))
	default:
		if reserved(name) {
			return false
		}
		m.Metadata.Set(name, string(text))
	}
	return true
}

func decodeEscaped(m *message.Message, value jsontext.Value) bool {
	members, err := rawMembers(string(value))
	if err != nil {
		return false
	}
	ok := true
	for k, v := range members {
		text, uerr := jsontext.AppendUnquote(nil, v)
		key, kerr := base64.StdEncoding.DecodeString(k)
		val, verr := base64.StdEncoding.DecodeString(string(text))
		if errors.Join(uerr, kerr, verr) != nil {
			ok = false
			continue
		}
		m.Metadata.Set(string(key), string(val))
	}
	return ok
}
