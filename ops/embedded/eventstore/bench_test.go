package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// benchData is about what a flow event is: 394 bytes, some of them its own.
func benchData(n int) []byte {
	data := fmt.Sprintf(`{"identity":{"reporter":"facility-%03d","source":"weighbridge","external_id":"T-%08d"},`+
		`"facility":"dk-sor-%04d","occurred":"2026-01-%02dT%02d:%02d:00+01:00","waste_code":"20 03 01","operation":"R12",`+
		`"mass_g":"%d","measurement":"weighed","origin_area":"dk-0%03d","sector":"household","content_hash":"%016x"}`,
		n%200, n, n%900, 1+n%28, n%24, n%60, 1_000_000+n*7919%27_000_000, 100+n%98, uint64(n)*0x9e3779b97f4a7c15)
	return []byte(data + strings.Repeat(" ", max(0, 394-len(data))))
}

func benchEvents(start, n int) []esdb.EventData {
	events := make([]esdb.EventData, n)
	for i := range events {
		events[i] = esdb.EventData{EventID: uuid.New(), EventType: "dk.stofstrom.flow.received.v1", ContentType: esdb.ContentTypeJson, Data: benchData(start + i)}
	}
	return events
}

// noopServer has the protocol's stubs and does nothing: the limit of what the
// client and gRPC allow on this machine.
type noopServer struct {
	streams.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer
	event *streams.ReadResp
}

func (*noopServer) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: Version}, nil
}

func (*noopServer) Append(call streams.Streams_AppendServer) error {
	for {
		if _, err := call.Recv(); errors.Is(err, io.EOF) {
			return call.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_Success_{Success: &streams.AppendResp_Success{
				CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: 1},
				PositionOption:        &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{CommitPosition: 1, PreparePosition: 1}},
			}}})
		} else if err != nil {
			return err
		}
	}
}

func (s *noopServer) Read(req *streams.ReadReq, call streams.Streams_ReadServer) error {
	for range req.GetOptions().GetCount() {
		if err := call.Send(s.event); err != nil {
			return err
		}
	}
	return nil
}

func startNoop(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	server := grpc.NewServer()
	s := &noopServer{event: &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event: &streams.ReadResp_ReadEvent_RecordedEvent{
			Id: protoUUID(uuid.New(), false), StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte("ledger-f1-202601")},
			StreamRevision: 5, PreparePosition: 1000, CommitPosition: 1000,
			Metadata: map[string]string{"type": "dk.stofstrom.flow.received.v1", "created": "17000000000000000", "content-type": contentJSON},
			Data:     benchData(1),
		},
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: 1000},
	}}}}
	streams.RegisterStreamsServer(server, s)
	serverfeatures.RegisterServerFeaturesServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	b.Cleanup(func() {
		server.Stop()
		require.NoError(b, <-served)
	})
	return "esdb://" + listener.Addr().String() + "?tls=false"
}

func startBenchNode(b *testing.B) string {
	b.Helper()
	cfg := testConfig(b)
	cfg.MemTableBytes = 0
	node, _ := startNode(b, cfg)
	return node.ConnectionString()
}

var benchServers = []struct {
	name  string
	start func(*testing.B) string
}{{"noop", startNoop}, {"node", startBenchNode}}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 100, 500} {
		for _, callers := range []int{1, 16, 64} {
			for _, server := range benchServers {
				b.Run(fmt.Sprintf("events=%d/callers=%d/%s", size, callers, server.name), func(b *testing.B) {
					client := connect(b, server.start(b))
					benchAppend(b, client, size, callers)
				})
			}
		}
	}
}

func benchAppend(b *testing.B, client *esdb.Client, size, callers int) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	var group sync.WaitGroup
	b.ResetTimer()
	for c := range callers {
		group.Go(func() {
			stream := fmt.Sprintf("ledger-f%d-202601", c)
			events := benchEvents(c*1000, size)
			for left.Add(-1) >= 0 {
				for i := range events {
					events[i].EventID = uuid.New()
				}
				if _, err := client.AppendToStream(context.Background(), stream, expect(esdb.Any{}), events...); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkRead(b *testing.B) {
	const count = 50_000
	for _, what := range []string{"stream", "all"} {
		for _, server := range benchServers {
			b.Run(what+"/"+server.name, func(b *testing.B) {
				client := connect(b, server.start(b))
				if server.name == "node" {
					for n := 0; n < count; n += 500 {
						_, err := client.AppendToStream(context.Background(), "ledger-f1-202601", expect(esdb.Any{}), benchEvents(n, 500)...)
						require.NoError(b, err)
					}
				}
				b.ResetTimer()
				for range b.N {
					n := benchRead(b, client, what, count)
					require.Equal(b, count, n)
				}
				b.ReportMetric(float64(b.N*count)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

func benchRead(b *testing.B, client *esdb.Client, what string, count uint64) int {
	b.Helper()
	var stream *esdb.ReadStream
	var err error
	if what == "all" {
		stream, err = client.ReadAll(context.Background(), esdb.ReadAllOptions{From: esdb.Start{}}, count)
	} else {
		stream, err = client.ReadStream(context.Background(), "ledger-f1-202601", esdb.ReadStreamOptions{}, count)
	}
	require.NoError(b, err)
	defer stream.Close()
	n := 0
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			b.Fatal(err)
		}
		n++
	}
}

// BenchmarkSpaceOnDisk reports bytes on disk per event of 394 bytes, all
// indexes included, after everything was compacted.
func BenchmarkSpaceOnDisk(b *testing.B) {
	for range b.N {
		cfg := testConfig(b)
		cfg.MemTableBytes = 0
		node, stop := startNode(b, cfg)
		client := connect(b, node.ConnectionString())
		const count = 200_000
		for n := 0; n < count; n += 500 {
			stream := fmt.Sprintf("ledger-f%d-2026%02d", n/500%200, 1+n/100_000)
			_, err := client.AppendToStream(context.Background(), stream, expect(esdb.Any{}), benchEvents(n, 500)...)
			require.NoError(b, err)
		}
		require.NoError(b, node.Compact(context.Background()))
		require.NoError(b, stop())
		size := int64(0)
		tables, err := filepath.Glob(filepath.Join(cfg.Dir, "*.sst"))
		require.NoError(b, err)
		for _, path := range tables {
			info, err := os.Stat(path)
			require.NoError(b, err)
			size += info.Size()
		}
		b.ReportMetric(float64(size)/count, "bytes/event")
	}
}
