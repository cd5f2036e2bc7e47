package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore/store"
)

// streamsService serves the Streams service of the protocol.
type streamsService struct {
	streams.UnimplementedStreamsServer
	store    *store.Store
	limits   limits
	metrics  *metrics
	draining <-chan struct{} // closed when the node shuts down
}

// limits of one call.
type limits struct {
	appendBytes int
	chunkBytes  int
	chunkEvents int
}

var appendMessages = sync.Pool{New: func() any { return new(appendMessage) }}

// drainFactor times the append limit is read and dropped of an append that is
// too large, so that a client which is still sending gets the refusal and not
// a broken stream, which it could only take for an unknown outcome.
const drainFactor = 64

// Append implements streams.StreamsServer.
func (s *streamsService) Append(call streams.Streams_AppendServer) error {
	ctx := call.Context()
	m, ok := appendMessages.Get().(*appendMessage)
	if !ok {
		return fail(ctx, errors.New("append pool holds a foreign value"))
	}
	m.reset(s.limits.appendBytes)
	if err := s.receive(call, m); err != nil {
		return fail(ctx, err)
	}
	result, err := s.store.Append(ctx, m.stream, m.expected, m.events)
	expected := m.expected
	var conflict *store.WrongRevisionError
	isConflict := errors.As(err, &conflict)
	if err == nil || isConflict {
		// After any other error the writer may still be reading the events.
		appendMessages.Put(m)
	}
	if isConflict {
		return call.SendAndClose(&streams.AppendResp{Result: wrongVersion(expected, conflict.Current)})
	}
	if err != nil {
		return fail(ctx, err)
	}
	return call.SendAndClose(&streams.AppendResp{Result: appended(result)})
}

func (s *streamsService) receive(call streams.Streams_AppendServer, m *appendMessage) error {
	for {
		err := call.RecvMsg(m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if m.bytes > drainFactor*s.limits.appendBytes {
			break
		}
	}
	switch {
	case m.err != nil:
		return m.err
	case m.bytes > s.limits.appendBytes:
		return &appendTooLargeError{bytes: m.bytes, limit: s.limits.appendBytes}
	case !m.hasOptions:
		return fmt.Errorf("%w: the first message of an append must hold its options", errInvalidRequest)
	}
	return nil
}

func appended(r store.Result) *streams.AppendResp_Success_ {
	success := &streams.AppendResp_Success{}
	if r.Revision == store.NoRevision {
		success.CurrentRevisionOption = &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}}
	} else {
		success.CurrentRevisionOption = &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(r.Revision)}
	}
	if r.Position == 0 {
		success.PositionOption = &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}}
	} else {
		success.PositionOption = &streams.AppendResp_Success_Position{
			Position: &streams.AppendResp_Position{CommitPosition: r.Position, PreparePosition: r.Position},
		}
	}
	return &streams.AppendResp_Success_{Success: success}
}

// wrongVersion fills the fields of today and those that clients before 21.x read.
func wrongVersion(expected store.Expected, current int64) *streams.AppendResp_WrongExpectedVersion_ {
	w := &streams.AppendResp_WrongExpectedVersion{}
	empty := &shared.Empty{}
	if current == store.NoRevision {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: empty}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: empty}
	} else {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(current)}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: uint64(current)}
	}
	switch expected.Kind {
	case store.ExpectAny:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: empty}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: empty}
	case store.ExpectNoStream:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: empty}
	case store.ExpectStreamExists:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: empty}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: empty}
	case store.ExpectRevision:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: expected.Revision}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: expected.Revision}
	}
	return &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: w}
}

// Delete implements streams.StreamsServer: it hides the stream's events until
// it is written again.
func (s *streamsService) Delete(ctx context.Context, req *streams.DeleteReq) (*streams.DeleteResp, error) {
	o := req.GetOptions()
	var expected store.Expected
	switch v := o.GetExpectedStreamRevision().(type) {
	case *streams.DeleteReq_Options_Revision:
		expected = store.Expected{Kind: store.ExpectRevision, Revision: v.Revision}
	case *streams.DeleteReq_Options_NoStream:
		expected = store.Expected{Kind: store.ExpectNoStream}
	case *streams.DeleteReq_Options_StreamExists:
		expected = store.Expected{Kind: store.ExpectStreamExists}
	}
	result, err := s.store.Delete(ctx, string(o.GetStreamIdentifier().GetStreamName()), expected)
	if err != nil {
		return nil, fail(ctx, err)
	}
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{
		Position: &streams.DeleteResp_Position{CommitPosition: result.Position, PreparePosition: result.Position},
	}}, nil
}

// Tombstone implements streams.StreamsServer: it ends the stream for ever.
func (s *streamsService) Tombstone(ctx context.Context, req *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	o := req.GetOptions()
	var expected store.Expected
	switch v := o.GetExpectedStreamRevision().(type) {
	case *streams.TombstoneReq_Options_Revision:
		expected = store.Expected{Kind: store.ExpectRevision, Revision: v.Revision}
	case *streams.TombstoneReq_Options_NoStream:
		expected = store.Expected{Kind: store.ExpectNoStream}
	case *streams.TombstoneReq_Options_StreamExists:
		expected = store.Expected{Kind: store.ExpectStreamExists}
	}
	result, err := s.store.Tombstone(ctx, string(o.GetStreamIdentifier().GetStreamName()), expected)
	if err != nil {
		return nil, fail(ctx, err)
	}
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{
		Position: &streams.TombstoneResp_Position{CommitPosition: result.Position, PreparePosition: result.Position},
	}}, nil
}
