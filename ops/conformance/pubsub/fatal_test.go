package pubsub_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// hearsay is a server that answers every read with one event without a
// creation time, and keeps the headers of appends, or refuses them before it
// has read them, as EventStoreDB does when they grow too large.
type hearsay struct {
	streams.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer
	headers chan metadata.MD
	refuse  bool
}

func (s *hearsay) Read(_ *streams.ReadReq, out streams.Streams_ReadServer) error {
	return out.Send(&streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event: &streams.ReadResp_ReadEvent_RecordedEvent{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("s")},
			Metadata:         map[string]string{"type": "t"},
		},
	}}})
}

func (s *hearsay) Append(in streams.Streams_AppendServer) error {
	if s.refuse {
		return status.Error(codes.InvalidArgument, "maximum append size exceeded")
	}
	for { // or the client, still sending, would read the answer as EOF
		if _, err := in.Recv(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	md, _ := metadata.FromIncomingContext(in.Context())
	s.headers <- md
	return in.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_Success_{Success: &streams.AppendResp_Success{}}})
}

func startHearsay(t *testing.T) (*hearsay, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s, server := &hearsay{headers: make(chan metadata.MD, 1)}, grpc.NewServer()
	streams.RegisterStreamsServer(server, s)
	serverfeatures.RegisterServerFeaturesServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-served)
	})
	return s, "esdb://" + listener.Addr().String() + "?tls=false"
}

// fatalClient reads from a server that leaves out the creation time.
func fatalClient(args []string) error {
	conf, err := esdb.ParseConnectionString(args[0])
	if err != nil {
		return err
	}
	client, err := esdb.NewClient(conf)
	if err != nil {
		return err
	}
	stream, err := client.ReadStream(context.Background(), "s", esdb.ReadStreamOptions{}, 1)
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}

func TestC7BareClientEndsTheProcess(t *testing.T) {
	_, connection := startHearsay(t)
	out, err := exec.Command(os.Args[0], roleFatal, connection).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Contains(t, string(out), "Failed to parse created date", "the bare client has learnt to return an error")
	require.NotContains(t, string(out), roleFatal+" ", "the child was to die before it could report")
}

func TestC6RequiresLeaderIsNeverSent(t *testing.T) {
	s, connection := startHearsay(t)
	bare := bareClient(t, connection, nil)
	defer func() { require.NoError(t, bare.Close()) }()
	_, err := bare.AppendToStream(testContext(t), "c6", esdb.AppendToStreamOptions{RequiresLeader: true}, bareEvent())
	require.NoError(t, err)
	require.Empty(t, (<-s.headers).Get("requires-leader"),
		"the client has learnt to send it: then the documentation of ingest/eventstore can promise more")
}
