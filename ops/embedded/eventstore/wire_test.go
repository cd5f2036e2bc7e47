package eventstore

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/projections"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore/store"
)

func sampleRecords() []*store.Record {
	return []*store.Record{
		{Position: 1, Created: 1, Stream: []byte("s"), Type: []byte("t")},
		{
			Position: 1 << 40, Revision: 300, Created: 17_000_000_000_000_000, ID: uuid.New(), JSON: true,
			Stream: []byte("ledger-å-202601"), Type: []byte("dk.stofstrom.flow.received.v1"),
			Metadata: []byte(`{"a":1}`), Data: []byte(strings.Repeat("x", 70_000)),
		},
		{Position: 7, Revision: store.RevisionTombstone, Created: -5, ID: [16]byte{0x80}, Stream: []byte("$$s"), Type: []byte("$streamDeleted")},
	}
}

// TestEncodedEventsAreWhatProtobufSays compares the hand-written encoding with
// the generated one.
func TestEncodedEventsAreWhatProtobufSays(t *testing.T) {
	records := append(sampleRecords(), nil)
	for _, stringIDs := range []bool{false, true} {
		e := eventEncoder{stringIDs: stringIDs}
		for _, event := range records {
			for _, link := range records {
				if event == nil && link == nil {
					continue
				}
				prefix := []byte("before")
				wire := e.event(prefix, event, link)[len(prefix):]
				got := &streams.ReadResp{}
				require.NoError(t, proto.Unmarshal(wire, got))
				position := uint64(0)
				for _, r := range []*store.Record{event, link} {
					if r != nil {
						position = r.Position
					}
				}
				want := &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
					Event: protoRecord(event, stringIDs), Link: protoRecord(link, stringIDs),
					Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: position},
				}}}
				require.Empty(t, cmp.Diff(want, got, protocmp.Transform()))
			}
		}
	}
}

func protoRecord(r *store.Record, stringIDs bool) *streams.ReadResp_ReadEvent_RecordedEvent {
	if r == nil {
		return nil
	}
	e := &eventEncoder{}
	return &streams.ReadResp_ReadEvent_RecordedEvent{
		Id: protoUUID(r.ID, stringIDs), StreamIdentifier: &shared.StreamIdentifier{StreamName: r.Stream},
		StreamRevision: r.Revision, PreparePosition: r.Position, CommitPosition: r.Position,
		Metadata:       map[string]string{"type": string(r.Type), "created": string(e.createdText(r)), "content-type": contentType(r)},
		CustomMetadata: r.Metadata, Data: r.Data,
	}
}

func protoUUID(id [16]byte, asString bool) *shared.UUID {
	if asString {
		return &shared.UUID{Value: &shared.UUID_String_{String_: uuid.UUID(id).String()}}
	}
	var most, least int64
	for i := range 8 {
		most = most<<8 | int64(id[i])
		least = least<<8 | int64(id[8+i])
	}
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{MostSignificantBits: most, LeastSignificantBits: least}}}
}

func TestProposedEventsAreDecoded(t *testing.T) {
	m := &appendMessage{}
	m.reset(1 << 20)
	options := &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte("ledger-å")},
		ExpectedStreamRevision: &streams.AppendReq_Options_Revision{Revision: 0},
	}}}
	decode := func(req proto.Message) {
		wire, err := proto.Marshal(req)
		require.NoError(t, err)
		require.NoError(t, m.decode(wire))
	}
	decode(options)
	var want []store.Proposed
	for _, asString := range []bool{false, true} {
		id := uuid.New()
		decode(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
			Id: protoUUID(id, asString), Metadata: map[string]string{"type": "t", "content-type": "application/json", "x": "y"},
			Data: []byte("data"), CustomMetadata: []byte("meta"),
		}}})
		want = append(want, store.Proposed{ID: id, JSON: true, Type: []byte("t"), Data: []byte("data"), Metadata: []byte("meta")})
	}
	require.True(t, m.hasOptions)
	require.Equal(t, "ledger-å", m.stream)
	require.Equal(t, store.Expected{Kind: store.ExpectRevision}, m.expected)
	require.Equal(t, want, m.events)
}

// FuzzAppendMessage: the hand-written decoder never panics, and a message that
// is exactly what protobuf would write means to it what it means to protobuf.
func FuzzAppendMessage(f *testing.F) {
	for _, req := range []*streams.AppendReq{
		{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")}}}},
		{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
			Id: protoUUID(uuid.New(), false), Metadata: map[string]string{"type": "t", "content-type": "c"}, Data: []byte("d"), CustomMetadata: []byte("m"),
		}}},
	} {
		wire, err := proto.Marshal(req)
		require.NoError(f, err)
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		raw := &appendMessage{}
		raw.reset(1 << 20)
		_ = raw.decode(wire) // any error is fine, a panic is not
		req := &streams.AppendReq{}
		if proto.Unmarshal(wire, req) != nil {
			return
		}
		canonical, err := proto.Marshal(req)
		require.NoError(t, err)
		m := &appendMessage{}
		m.reset(1 << 20)
		err = m.decode(canonical)
		if o := req.GetOptions(); o != nil {
			require.NoError(t, err)
			require.Equal(t, string(o.GetStreamIdentifier().GetStreamName()), m.stream)
			return
		}
		p := req.GetProposedMessage()
		if p == nil || err != nil {
			return
		}
		require.Len(t, m.events, 1)
		require.Equal(t, string(p.GetData()), string(m.events[0].Data))
		require.Equal(t, string(p.GetCustomMetadata()), string(m.events[0].Metadata))
		require.Equal(t, p.GetMetadata()[metaType], string(m.events[0].Type))
	})
}

// dial connects without the official client, to reach what it never calls.
func dial(t testing.TB, node *Node) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(node.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

func TestBatchAppend(t *testing.T) {
	node, _ := startNode(t, testConfig(t))
	call, err := streams.NewStreamsClient(dial(t, node)).BatchAppend(testContext(t))
	require.NoError(t, err)
	stream := &shared.StreamIdentifier{StreamName: []byte("s")}
	message := func() *streams.BatchAppendReq_ProposedMessage {
		return &streams.BatchAppendReq_ProposedMessage{
			Id: protoUUID(uuid.New(), false), Data: []byte("{}"), Metadata: map[string]string{"type": "t", "content-type": "application/json"},
		}
	}
	// exchange sends one batch in two messages and waits for its answer.
	exchange := func(options *streams.BatchAppendReq_Options, messages ...*streams.BatchAppendReq_ProposedMessage) *streams.BatchAppendResp {
		id := protoUUID(uuid.New(), true)
		require.NoError(t, call.Send(&streams.BatchAppendReq{CorrelationId: id, Options: options, ProposedMessages: messages[:1]}))
		require.NoError(t, call.Send(&streams.BatchAppendReq{CorrelationId: id, ProposedMessages: messages[1:], IsFinal: true}))
		answer, err := call.Recv()
		require.NoError(t, err)
		require.Equal(t, id.GetString_(), answer.GetCorrelationId().GetString_())
		return answer
	}
	none := func() *streams.BatchAppendReq_Options {
		return &streams.BatchAppendReq_Options{StreamIdentifier: stream, ExpectedStreamPosition: &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}}
	}
	batch := []*streams.BatchAppendReq_ProposedMessage{message(), message(), message()}
	for range 2 { // the second is a retry
		answer := exchange(none(), batch...)
		require.EqualValues(t, 2, answer.GetSuccess().GetCurrentRevision())
		require.EqualValues(t, 3, answer.GetSuccess().GetPosition().GetCommitPosition())
	}

	conflict := exchange(none(), message())
	require.NotNil(t, conflict.GetError())
	detail := &shared.WrongExpectedVersion{}
	require.NoError(t, conflict.GetError().GetDetails()[0].UnmarshalTo(detail))
	require.EqualValues(t, 2, detail.GetCurrentStreamRevision())
	require.NotNil(t, detail.GetExpectedNoStream())

	large := message()
	large.Data = make([]byte, 1<<20)
	tooLarge := &shared.MaximumAppendSizeExceeded{}
	require.NoError(t, exchange(&streams.BatchAppendReq_Options{StreamIdentifier: stream}, large).GetError().GetDetails()[0].UnmarshalTo(tooLarge))
	require.EqualValues(t, 1<<20, tooLarge.GetMaxAppendSize())

	bare := message()
	delete(bare.Metadata, "type")
	missing := &shared.BadRequest{}
	require.NoError(t, exchange(&streams.BatchAppendReq_Options{StreamIdentifier: stream}, bare).GetError().GetDetails()[0].UnmarshalTo(missing))
	require.Contains(t, missing.GetMessage(), "type")

	late := exchange(&streams.BatchAppendReq_Options{
		StreamIdentifier: stream, DeadlineOption: &streams.BatchAppendReq_Options_Deadline{Deadline: durationpb.New(-1)},
	}, message())
	require.NoError(t, late.GetError().GetDetails()[0].UnmarshalTo(&shared.Timeout{}))

	require.NoError(t, call.CloseSend())
	_, err = call.Recv()
	require.ErrorIs(t, err, io.EOF)
}

func TestWhatTheNodeSaysAboutItself(t *testing.T) {
	node, _ := startNode(t, testConfig(t))
	conn, ctx := dial(t, node), testContext(t)

	features, err := serverfeatures.NewServerFeaturesClient(conn).GetSupportedMethods(ctx, &shared.Empty{})
	require.NoError(t, err)
	require.Equal(t, "24.10.0", features.GetEventStoreServerVersion())

	info, err := gossip.NewGossipClient(conn).Read(ctx, &shared.Empty{})
	require.NoError(t, err)
	require.Len(t, info.GetMembers(), 1)
	require.Equal(t, gossip.MemberInfo_Leader, info.GetMembers()[0].GetState())
	require.Equal(t, "127.0.0.1", info.GetMembers()[0].GetHttpEndPoint().GetAddress())

	health, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, health.GetStatus())

	_, err = persistent.NewPersistentSubscriptionsClient(conn).Create(ctx, &persistent.CreateReq{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.ErrorContains(t, err, "has no persistent subscriptions")
	_, err = projections.NewProjectionsClient(conn).Create(ctx, &projections.CreateReq{})
	require.Equal(t, codes.Unimplemented, status.Code(err))
	require.ErrorContains(t, err, "projections")
}

// TestErrorTrailers reads what clients of other languages go by.
func TestErrorTrailers(t *testing.T) {
	node, _ := startNode(t, testConfig(t))
	client, ctx := streams.NewStreamsClient(dial(t, node)), testContext(t)
	stream := &shared.StreamIdentifier{StreamName: []byte("s\n")}
	var trailers metadata.MD
	_, err := client.Tombstone(ctx, &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
		StreamIdentifier: stream, ExpectedStreamRevision: &streams.TombstoneReq_Options_Revision{Revision: 4},
	}}, grpc.Trailer(&trailers))
	require.Equal(t, codes.FailedPrecondition, status.Code(err))
	require.Equal(t, []string{"wrong-expected-version"}, trailers.Get("exception"))
	require.Equal(t, []string{`"s\n"`}, trailers.Get("stream-name"))
	require.Equal(t, []string{"4"}, trailers.Get("expected-version"))
	require.Equal(t, []string{"-1"}, trailers.Get("actual-version"))

	call, err := client.Append(ctx, grpc.Trailer(&trailers))
	require.NoError(t, err)
	require.NoError(t, call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{StreamIdentifier: stream}}}))
	require.NoError(t, call.Send(&streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
		Metadata: map[string]string{"type": "t"},
	}}}))
	_, err = call.CloseAndRecv()
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.Equal(t, []string{"missing-required-metadata-property"}, trailers.Get("exception"))
	require.ErrorContains(t, err, "content-type")
}

// TestNewerClientsGetTheLastPosition asks for messages that old clients do not
// understand.
func TestNewerClientsGetTheLastPosition(t *testing.T) {
	node, _ := startNode(t, testConfig(t))
	_, err := connect(t, node.ConnectionString()).AppendToStream(testContext(t), "s", expect(esdb.Any{}), newEvents(3)...)
	require.NoError(t, err)
	call, err := streams.NewStreamsClient(dial(t, node)).Read(testContext(t), &streams.ReadReq{Options: &streams.ReadReq_Options{
		StreamOption:  &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")}}},
		CountOption:   &streams.ReadReq_Options_Count{Count: 2},
		ControlOption: &streams.ReadReq_Options_ControlOption{Compatibility: 1},
	}})
	require.NoError(t, err)
	var last *streams.ReadResp
	for {
		resp, err := call.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		last = resp
	}
	require.EqualValues(t, 2, last.GetLastStreamPosition())
}
