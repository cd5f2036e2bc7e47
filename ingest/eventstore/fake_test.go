package eventstore

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// fakeServer speaks enough of the protocol to misbehave in the ways a real
// server does. Every stream is one list of events; the whole log is the list
// of all. It knows no expectations beyond what a test scripts.
type fakeServer struct {
	streams.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer
	version string

	mu       sync.Mutex
	events   []*streams.ReadResp_ReadEvent_RecordedEvent                       // guarded by mu
	appends  []fakeAppend                                                      // guarded by mu; every attempt
	headers  []metadata.MD                                                     // guarded by mu; of every call
	onAppend []func(in streams.Streams_AppendServer) (handled bool, err error) // guarded by mu; for the next attempts
	onRead   []func(req *streams.ReadReq, out streams.Streams_ReadServer) (handled bool, err error)
	silent   bool          // guarded by mu; never says caught up
	changed  chan struct{} // guarded by mu
}

type fakeAppend struct {
	options *streams.AppendReq_Options
	ids     []string
}

func newFake() *fakeServer { return &fakeServer{version: "23.10.0", changed: make(chan struct{})} }

// serve starts the server and returns its address.
func (s *fakeServer) serve(t *testing.T, address string, opts ...grpc.ServerOption) string {
	t.Helper()
	return s.serveOn(t, address, grpc.NewServer(opts...))
}

// serveAlso serves more than the fake itself.
func (s *fakeServer) serveAlso(t *testing.T, register func(grpc.ServiceRegistrar)) string {
	t.Helper()
	server := grpc.NewServer()
	register(server)
	return s.serveOn(t, "127.0.0.1:0", server)
}

func (s *fakeServer) serveOn(t *testing.T, address string, server *grpc.Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	streams.RegisterStreamsServer(server, s)
	serverfeatures.RegisterServerFeaturesServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	return listener.Addr().String()
}

func (s *fakeServer) GetSupportedMethods(ctx context.Context, _ *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	s.note(ctx)
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: s.version}, nil
}

func (s *fakeServer) note(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	s.mu.Lock()
	s.headers = append(s.headers, md)
	s.mu.Unlock()
}

func (s *fakeServer) script(steps ...func(in streams.Streams_AppendServer) (bool, error)) {
	s.mu.Lock()
	s.onAppend = append(s.onAppend, steps...)
	s.mu.Unlock()
}

func (s *fakeServer) scriptRead(steps ...func(req *streams.ReadReq, out streams.Streams_ReadServer) (bool, error)) {
	s.mu.Lock()
	s.onRead = append(s.onRead, steps...)
	s.mu.Unlock()
}

func (s *fakeServer) Append(in streams.Streams_AppendServer) error {
	s.note(in.Context())
	s.mu.Lock()
	var step func(streams.Streams_AppendServer) (bool, error)
	if len(s.onAppend) > 0 {
		step, s.onAppend = s.onAppend[0], s.onAppend[1:]
	}
	s.mu.Unlock()
	if step != nil {
		if handled, err := step(in); handled {
			return err
		}
	}
	return s.store(in, true)
}

// store takes an append; without an answer the client is told Unavailable.
func (s *fakeServer) store(in streams.Streams_AppendServer, answer bool) error {
	var try fakeAppend
	var proposed []*streams.AppendReq_ProposedMessage
	for {
		req, err := in.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if o := req.GetOptions(); o != nil {
			try.options = o
			continue
		}
		proposed = append(proposed, req.GetProposedMessage())
		try.ids = append(try.ids, req.GetProposedMessage().GetId().String())
	}
	name := try.options.GetStreamIdentifier().GetStreamName()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.appends = append(s.appends, try)
	at, revision := s.find(string(name), try.ids)
	if at < 0 {
		for _, p := range proposed {
			n := uint64(len(s.events) + 1)
			s.events = append(s.events, &streams.ReadResp_ReadEvent_RecordedEvent{
				Id: p.Id, StreamIdentifier: try.options.GetStreamIdentifier(), StreamRevision: revision,
				CommitPosition: n, PreparePosition: n, Data: p.Data, CustomMetadata: p.CustomMetadata,
				Metadata: map[string]string{
					"type": p.Metadata["type"], "content-type": p.Metadata["content-type"],
					"created": strconv.FormatInt(time.Now().UnixNano()/100, 10),
				},
			})
			revision++
		}
		at = len(s.events) - 1
		close(s.changed)
		s.changed = make(chan struct{})
	}
	if !answer {
		return status.Error(codes.Unavailable, "the answer is lost")
	}
	last := s.events[at]
	return in.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_Success_{Success: &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: last.StreamRevision},
		PositionOption: &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{
			CommitPosition: last.CommitPosition, PreparePosition: last.PreparePosition}},
	}}})
}

// find looks for the last of the ids in a stream; -1 and the next revision
// when it is not there.
func (s *fakeServer) find(stream string, ids []string) (at int, next uint64) {
	at = -1
	for i, e := range s.events {
		if string(e.StreamIdentifier.StreamName) != stream {
			continue
		}
		next = e.StreamRevision + 1
		if e.Id.String() == ids[len(ids)-1] {
			at = i
		}
	}
	return at, next
}

func (s *fakeServer) Read(req *streams.ReadReq, out streams.Streams_ReadServer) error {
	s.note(out.Context())
	s.mu.Lock()
	var step func(*streams.ReadReq, streams.Streams_ReadServer) (bool, error)
	if len(s.onRead) > 0 {
		step, s.onRead = s.onRead[0], s.onRead[1:]
	}
	s.mu.Unlock()
	if step != nil {
		if handled, err := step(req, out); handled {
			return err
		}
	}
	if req.Options.GetSubscription() != nil {
		return s.subscribe(req, out)
	}
	s.mu.Lock()
	events := s.selected(req.Options)
	s.mu.Unlock()
	if name := req.Options.GetStream(); name != nil && len(events) == 0 {
		return out.Send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{
			StreamNotFound: &streams.ReadResp_StreamNotFound{StreamIdentifier: name.StreamIdentifier}}})
	}
	for i, e := range events {
		if uint64(i) == req.Options.GetCount() {
			break
		}
		if err := out.Send(eventResp(e)); err != nil {
			return err
		}
	}
	return nil
}

// selected returns the events a read asks for. The caller holds mu.
func (s *fakeServer) selected(o *streams.ReadReq_Options) (events []*streams.ReadResp_ReadEvent_RecordedEvent) {
	for _, e := range s.events {
		switch {
		case o.GetStream() != nil && string(e.StreamIdentifier.StreamName) != string(o.GetStream().StreamIdentifier.StreamName),
			o.GetStream() != nil && e.StreamRevision < o.GetStream().GetRevision(),
			o.GetAll() != nil && e.CommitPosition < o.GetAll().GetPosition().GetCommitPosition():
			continue
		}
		events = append(events, e)
	}
	if o.ReadDirection == streams.ReadReq_Options_Backwards {
		for i, j := 0, len(events)-1; i < j; i, j = i+1, j-1 {
			events[i], events[j] = events[j], events[i]
		}
	}
	return events
}

func eventResp(e *streams.ReadResp_ReadEvent_RecordedEvent) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{Event: e}}}
}

func confirm(out streams.Streams_ReadServer) error {
	return out.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: "fake"}}})
}

func (s *fakeServer) subscribe(req *streams.ReadReq, out streams.Streams_ReadServer) error {
	if err := confirm(out); err != nil {
		return err
	}
	after := req.Options.GetAll().GetPosition().GetCommitPosition()
	caughtUp := false
	for {
		s.mu.Lock()
		var waiting []*streams.ReadResp_ReadEvent_RecordedEvent
		for _, e := range s.events {
			if e.CommitPosition > after {
				waiting = append(waiting, e)
			}
		}
		changed, silent := s.changed, s.silent
		s.mu.Unlock()
		for _, e := range waiting {
			after = e.CommitPosition
			if err := out.Send(eventResp(e)); err != nil {
				return err
			}
		}
		if !caughtUp && !silent {
			caughtUp = true
			if err := out.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}}); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-out.Context().Done():
			return out.Context().Err()
		}
	}
}

func testHolder(t *testing.T, c Config) *Holder {
	t.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	h, err := NewHolder(c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

func testLog(t *testing.T, s *fakeServer, c LogConfig) *Log {
	t.Helper()
	h := testHolder(t, Config{Connection: "esdb://" + s.serve(t, "127.0.0.1:0") + "?tls=false", Patience: 20 * time.Second})
	l, err := NewLog(h, c)
	require.NoError(t, err)
	return l
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
