package eventstore

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore/store"
)

// Read implements streams.StreamsServer: plain reads and subscriptions, of one
// stream and of the whole log.
func (s *streamsService) Read(req *streams.ReadReq, call streams.Streams_ReadServer) error {
	return fail(call.Context(), s.read(req.GetOptions(), call))
}

func (s *streamsService) read(o *streams.ReadReq_Options, call streams.Streams_ReadServer) error {
	r := &reader{
		service: s, call: call,
		resolveLinks: o.GetResolveLinks(),
		backwards:    o.GetReadDirection() == streams.ReadReq_Options_Backwards,
		compatible:   o.GetControlOption().GetCompatibility() >= 1,
	}
	_, r.encoder.stringIDs = o.GetUuidOption().GetContent().(*streams.ReadReq_Options_UUIDOption_String_)
	if f, ok := o.GetFilterOption().(*streams.ReadReq_Options_Filter); ok {
		parsed, err := newFilter(f.Filter)
		if err != nil {
			return err
		}
		r.filter = parsed
	}
	subscribe := false
	switch v := o.GetCountOption().(type) {
	case *streams.ReadReq_Options_Count:
		r.left = v.Count
	case *streams.ReadReq_Options_Subscription:
		subscribe = true
	default:
		return fmt.Errorf("%w: a read needs a count, or says that it is a subscription", errInvalidRequest)
	}
	if subscribe && r.backwards {
		return fmt.Errorf("%w: a subscription cannot run backwards", errInvalidRequest)
	}
	switch v := o.GetStreamOption().(type) {
	case *streams.ReadReq_Options_Stream:
		name := string(v.Stream.GetStreamIdentifier().GetStreamName())
		if err := store.CheckStreamName(name); err != nil {
			return err
		}
		if r.filter != nil {
			return fmt.Errorf("%w: filters work on $all, not on one stream", errInvalidRequest)
		}
		if subscribe {
			return r.subscribeStream(name, v.Stream)
		}
		return r.readStream(name, v.Stream)
	case *streams.ReadReq_Options_All:
		if subscribe {
			return r.subscribeAll(v.All)
		}
		return r.readAll(v.All)
	}
	return fmt.Errorf("%w: a read names a stream or $all", errInvalidRequest)
}

// reader serves one Read call. It fills a chunk of answers from the store,
// lets go of the store's files, sends the chunk, and so on: a slow client
// holds one chunk of memory and nothing else.
type reader struct {
	service      *streamsService
	call         streams.Streams_ReadServer
	encoder      eventEncoder
	filter       *filter
	resolveLinks bool
	backwards    bool
	compatible   bool   // the client asked for messages that old clients do not know
	left         uint64 // events a plain read may still deliver

	// The current chunk.
	frames      []frame // of events and checkpoints
	links       []pendingLink
	checkpoints int // among the frames
	bytes       int
	block       []byte // where frames are encoded; begun anew when it is full
	size        int    // of the next block
}

// pendingLink is a link event whose target is looked up once the scan that
// found it is over.
type pendingLink struct {
	frame int // index in frames of the link's own answer
	link  *store.Record
}

// begin starts an empty chunk. The blocks of the last one now belong to the
// transport.
func (r *reader) begin() {
	r.frames = r.frames[:0]
	r.links = r.links[:0]
	r.bytes, r.checkpoints = 0, 0
	r.block = nil
}

const (
	firstBlockBytes = 4 << 10
	// recordOverhead bounds what an encoded event takes beside its own bytes.
	recordOverhead = 256
)

// add encodes one event into the chunk and says whether there is room for more.
func (r *reader) add(rec *store.Record) bool {
	if r.resolveLinks && isLink(rec) {
		r.links = append(r.links, pendingLink{frame: len(r.frames), link: cloneRecord(rec)})
		r.frames = append(r.frames, nil)
	} else {
		r.frames = append(r.frames, r.encode(rec, nil))
	}
	return len(r.frames)-r.checkpoints < r.service.limits.chunkEvents && r.bytes < r.service.limits.chunkBytes
}

// encode appends an answer to the current block. Blocks grow with what the
// reader turns out to need, so that a read of one event stays cheap.
func (r *reader) encode(event, link *store.Record) frame {
	need := recordBytes(event) + recordBytes(link)
	if cap(r.block)-len(r.block) < need {
		r.size = min(max(2*r.size, firstBlockBytes), r.service.limits.chunkBytes)
		r.block = make([]byte, 0, max(r.size, need))
	}
	at := len(r.block)
	r.block = r.encoder.event(r.block, event, link)
	r.bytes += len(r.block) - at
	return frame(r.block[at:len(r.block):len(r.block)])
}

func recordBytes(rec *store.Record) int {
	if rec == nil {
		return 0
	}
	return recordOverhead + len(rec.Stream) + len(rec.Type) + len(rec.Metadata) + len(rec.Data)
}

// flush resolves links and sends the chunk.
func (r *reader) flush() error {
	for _, l := range r.links {
		target, err := r.resolve(l.link)
		if err != nil {
			return err
		}
		r.frames[l.frame] = r.encode(target, l.link)
	}
	for _, f := range r.frames {
		if err := r.call.SendMsg(f); err != nil {
			return err
		}
	}
	r.service.metrics.eventsRead.Add(float64(len(r.frames) - r.checkpoints))
	r.service.metrics.bytesRead.Add(float64(r.bytes))
	return nil
}

const typeLink = "$>"

func isLink(rec *store.Record) bool { return string(rec.Type) == typeLink }

func cloneRecord(rec *store.Record) *store.Record {
	c := *rec
	c.Stream, c.Type = bytes.Clone(rec.Stream), bytes.Clone(rec.Type)
	c.Metadata, c.Data = bytes.Clone(rec.Metadata), bytes.Clone(rec.Data)
	return &c
}

// resolve finds the event that a link's data "revision@stream" names; nil if
// it is not there (any more), in which case the client gets the link alone.
func (r *reader) resolve(link *store.Record) (*store.Record, error) {
	number, name, ok := bytes.Cut(link.Data, []byte("@"))
	if !ok {
		return nil, nil
	}
	revision, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil || revision < 0 {
		return nil, nil //nolint:nilerr // a link that names nothing is delivered unresolved, as the server does
	}
	view, err := r.service.store.Stream(string(name))
	if err != nil {
		if isDeleted(err) {
			return nil, nil
		}
		return nil, err
	}
	var target *store.Record
	if !view.Found || revision < view.First || revision > view.Last {
		return nil, nil
	}
	err = r.service.store.ScanStream(view, revision, false, func(rec *store.Record) bool {
		target = cloneRecord(rec)
		return false
	})
	return target, err
}

// readStream is a plain read of one stream.
func (r *reader) readStream(name string, o *streams.ReadReq_Options_StreamOptions) error {
	view, err := r.service.store.Stream(name)
	if err != nil {
		return err
	}
	if !view.Found {
		return r.call.Send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{
			StreamNotFound: &streams.ReadResp_StreamNotFound{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(name)}},
		}})
	}
	from := int64(0)
	switch v := o.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_End:
		from = view.Last
		if !r.backwards {
			from = math.MaxInt64
		}
	case *streams.ReadReq_Options_StreamOptions_Revision:
		from = clampRevision(v.Revision)
	}
	for r.left > 0 {
		r.begin()
		more := false
		next := from
		err := r.service.store.ScanStream(view, from, r.backwards, func(rec *store.Record) bool {
			next = int64(rec.Revision) + 1
			if r.backwards {
				next = int64(rec.Revision) - 1
			}
			r.left--
			more = !r.add(rec)
			return !more && r.left > 0
		})
		if err != nil {
			return err
		}
		if err := r.flush(); err != nil {
			return err
		}
		from = next
		if !more {
			break
		}
	}
	if r.compatible {
		return r.call.Send(&streams.ReadResp{Content: &streams.ReadResp_LastStreamPosition{LastStreamPosition: uint64(view.Last)}})
	}
	return nil
}

func clampRevision(revision uint64) int64 {
	if revision > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(revision)
}

// readAll is a plain read of the whole log. Forwards it begins with the event
// at the given position, backwards with the one before it.
func (r *reader) readAll(o *streams.ReadReq_Options_AllOptions) error {
	from := uint64(1)
	switch v := o.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Start:
		if r.backwards {
			return nil
		}
	case *streams.ReadReq_Options_AllOptions_End:
		if !r.backwards {
			return nil
		}
		from = math.MaxUint64
	case *streams.ReadReq_Options_AllOptions_Position:
		from = v.Position.GetCommitPosition()
		if r.backwards {
			if from <= 1 {
				return nil
			}
			from--
		}
	}
	seen := 0
	for r.left > 0 {
		r.begin()
		more := false
		next := from
		err := r.service.store.ScanAll(from, r.backwards, func(rec *store.Record) bool {
			next = rec.Position + 1
			if r.backwards {
				next = rec.Position - 1
			}
			seen++
			if r.filter.matches(rec) {
				r.left--
				more = !r.add(rec)
			} else {
				more = seen%r.service.limits.chunkEvents == 0
			}
			return !more && r.left > 0
		})
		if err != nil {
			return err
		}
		if err := r.flush(); err != nil {
			return err
		}
		from = next
		if !more || (r.backwards && next == 0) {
			break
		}
		if err := r.interrupted(); err != nil {
			return err
		}
	}
	return nil
}
