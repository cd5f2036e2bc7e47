package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore/store"
)

const (
	// batchesInFlight of one BatchAppend call that are being written at a time.
	batchesInFlight = 64
	// batchesOpen of one call that wait for their last message.
	batchesOpen = 1024
	// batchOpenBytes of one call that wait for their last message.
	batchOpenBytes = 64 << 20
)

// openBatch is an append whose messages are still arriving.
type openBatch struct {
	correlation *shared.UUID
	options     *streams.BatchAppendReq_Options
	events      []store.Proposed
	bytes       int
	err         error // the first thing wrong with it
}

// BatchAppend implements streams.StreamsServer: many appends over one call,
// each named by a correlation id, answered as they become durable and in no
// particular order. The appends of one call that were sent without waiting for
// answers may be decided in another order than they were sent.
func (s *streamsService) BatchAppend(call streams.Streams_BatchAppendServer) error {
	ctx := call.Context()
	var mu sync.Mutex // serialises answers
	var writes errgroup.Group
	writes.SetLimit(batchesInFlight)
	err := s.receiveBatches(call, func(b *openBatch) {
		writes.Go(func() error {
			answer := s.appendBatch(ctx, b)
			mu.Lock()
			defer mu.Unlock()
			return call.Send(answer)
		})
	})
	return fail(ctx, errors.Join(err, writes.Wait()))
}

func (s *streamsService) receiveBatches(call streams.Streams_BatchAppendServer, write func(*openBatch)) error {
	open := make(map[[16]byte]*openBatch)
	openBytes := 0
	for {
		req, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		id, err := uuidFromProto(req.GetCorrelationId())
		if err != nil {
			return err
		}
		b := open[id]
		if b == nil {
			if req.GetOptions() == nil {
				return fmt.Errorf("%w: the first message of batch %x must hold its options", errInvalidRequest, id)
			}
			if len(open) >= batchesOpen {
				return fmt.Errorf("%w: %d batches are open at once, the limit is %d", errInvalidRequest, len(open)+1, batchesOpen)
			}
			b = &openBatch{correlation: req.GetCorrelationId(), options: req.GetOptions()}
			open[id] = b
		}
		before := b.bytes
		b.add(req.GetProposedMessages(), s.limits.appendBytes)
		openBytes += b.bytes - before
		if req.GetIsFinal() {
			delete(open, id)
			openBytes -= b.bytes
			write(b)
		}
		if openBytes > batchOpenBytes {
			return fmt.Errorf("%w: open batches hold %d bytes, the limit is %d", errInvalidRequest, openBytes, batchOpenBytes)
		}
	}
}

func (b *openBatch) add(messages []*streams.BatchAppendReq_ProposedMessage, limit int) {
	for _, m := range messages {
		if b.err != nil {
			return
		}
		p, err := proposedFromProto(m)
		if err != nil {
			b.err = err
			return
		}
		b.bytes += p.Size()
		if b.bytes > limit {
			b.err = &appendTooLargeError{bytes: b.bytes, limit: limit}
			b.events = nil
			return
		}
		b.events = append(b.events, p)
	}
}

func proposedFromProto(m *streams.BatchAppendReq_ProposedMessage) (store.Proposed, error) {
	meta := m.GetMetadata()
	for _, key := range [...]string{metaType, metaContentType} {
		if _, ok := meta[key]; !ok {
			return store.Proposed{}, &missingMetadataError{key: key}
		}
	}
	id, err := uuidFromProto(m.GetId())
	if err != nil {
		return store.Proposed{}, err
	}
	return store.Proposed{
		ID: id, JSON: meta[metaContentType] == contentJSON, Type: []byte(meta[metaType]),
		Metadata: m.GetCustomMetadata(), Data: m.GetData(),
	}, nil
}

func uuidFromProto(u *shared.UUID) ([16]byte, error) {
	wire, err := proto.Marshal(u)
	if err != nil {
		return [16]byte{}, fmt.Errorf("%w: id: %w", errInvalidRequest, err)
	}
	return decodeUUID(wire)
}

func (b *openBatch) expected() store.Expected {
	switch v := b.options.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_StreamPosition:
		return store.Expected{Kind: store.ExpectRevision, Revision: v.StreamPosition}
	case *streams.BatchAppendReq_Options_NoStream:
		return store.Expected{Kind: store.ExpectNoStream}
	case *streams.BatchAppendReq_Options_StreamExists:
		return store.Expected{Kind: store.ExpectStreamExists}
	}
	return store.Expected{Kind: store.ExpectAny}
}

// deadline is how long the client waits for this batch; ok is false if it does not say.
func (b *openBatch) deadline() (limit time.Duration, ok bool) {
	switch v := b.options.GetDeadlineOption().(type) {
	case *streams.BatchAppendReq_Options_Deadline:
		return v.Deadline.AsDuration(), true
	case *streams.BatchAppendReq_Options_Deadline_21_10_0:
		return time.Until(v.Deadline_21_10_0.AsTime()), true
	}
	return 0, false
}

func (s *streamsService) appendBatch(ctx context.Context, b *openBatch) *streams.BatchAppendResp {
	answer := &streams.BatchAppendResp{CorrelationId: b.correlation, StreamIdentifier: b.options.GetStreamIdentifier()}
	switch v := b.options.GetExpectedStreamPosition().(type) {
	case *streams.BatchAppendReq_Options_StreamPosition:
		answer.ExpectedStreamPosition = &streams.BatchAppendResp_StreamPosition{StreamPosition: v.StreamPosition}
	case *streams.BatchAppendReq_Options_NoStream:
		answer.ExpectedStreamPosition = &streams.BatchAppendResp_NoStream{NoStream: &emptypb.Empty{}}
	case *streams.BatchAppendReq_Options_StreamExists:
		answer.ExpectedStreamPosition = &streams.BatchAppendResp_StreamExists{StreamExists: &emptypb.Empty{}}
	default:
		answer.ExpectedStreamPosition = &streams.BatchAppendResp_Any{Any: &emptypb.Empty{}}
	}
	err := b.err
	var result store.Result
	if err == nil {
		if limit, ok := b.deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, limit)
			defer cancel()
		}
		result, err = s.store.Append(ctx, string(b.options.GetStreamIdentifier().GetStreamName()), b.expected(), b.events)
	}
	if err != nil {
		answer.Result = &streams.BatchAppendResp_Error{Error: batchError(err, b)}
		return answer
	}
	success := &streams.BatchAppendResp_Success{}
	if result.Revision == store.NoRevision {
		success.CurrentRevisionOption = &streams.BatchAppendResp_Success_NoStream{NoStream: &emptypb.Empty{}}
	} else {
		success.CurrentRevisionOption = &streams.BatchAppendResp_Success_CurrentRevision{CurrentRevision: uint64(result.Revision)}
	}
	if result.Position == 0 {
		success.PositionOption = &streams.BatchAppendResp_Success_NoPosition{NoPosition: &emptypb.Empty{}}
	} else {
		success.PositionOption = &streams.BatchAppendResp_Success_Position{
			Position: &shared.AllStreamPosition{CommitPosition: result.Position, PreparePosition: result.Position},
		}
	}
	answer.Result = &streams.BatchAppendResp_Success_{Success: success}
	return answer
}

// batchError puts the error into the form that BatchAppend clients read.
func batchError(err error, b *openBatch) *rpcstatus.Status {
	var (
		deleted  *store.StreamDeletedError
		conflict *store.WrongRevisionError
		tooLarge *appendTooLargeError
		missing  *missingMetadataError
		detail   proto.Message
	)
	st, _ := describe(err)
	answerCode := st.Code()
	switch {
	case errors.As(err, &conflict):
		answerCode = codes.AlreadyExists
		detail = wrongVersionDetail(conflict)
	case errors.As(err, &deleted):
		detail = &shared.StreamDeleted{StreamIdentifier: b.options.GetStreamIdentifier()}
	case errors.As(err, &tooLarge):
		detail = &shared.MaximumAppendSizeExceeded{MaxAppendSize: uint32(tooLarge.limit)}
	case errors.As(err, &missing):
		detail = &shared.BadRequest{Message: missing.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		detail = &shared.Timeout{}
	default:
		detail = &shared.Unknown{}
	}
	out := &rpcstatus.Status{Code: int32(answerCode), Message: st.Message()}
	packed, packErr := anypb.New(detail)
	if packErr != nil {
		out.Message += " (detail lost: " + packErr.Error() + ")"
		return out
	}
	out.Details = []*anypb.Any{packed}
	return out
}

func wrongVersionDetail(e *store.WrongRevisionError) *shared.WrongExpectedVersion {
	w := &shared.WrongExpectedVersion{}
	if e.Current == store.NoRevision {
		w.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &emptypb.Empty{}}
	} else {
		w.CurrentStreamRevisionOption = &shared.WrongExpectedVersion_CurrentStreamRevision{CurrentStreamRevision: uint64(e.Current)}
	}
	switch e.Expected.Kind {
	case store.ExpectAny:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedAny{ExpectedAny: &emptypb.Empty{}}
	case store.ExpectNoStream:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &emptypb.Empty{}}
	case store.ExpectStreamExists:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &emptypb.Empty{}}
	case store.ExpectRevision:
		w.ExpectedStreamPositionOption = &shared.WrongExpectedVersion_ExpectedStreamPosition{ExpectedStreamPosition: e.Expected.Revision}
	}
	return w
}
