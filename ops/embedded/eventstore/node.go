package eventstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore/store"
)

// Node is one embedded event log with its server.
type Node struct {
	cfg      Config
	store    *store.Store
	metrics  *metrics
	ready    chan struct{}
	draining chan struct{}

	mu   sync.Mutex
	addr net.Addr // of the listener; nil until it listens; guarded by mu
}

// New checks the configuration, all of it at once. It opens nothing.
func New(cfg Config) (*Node, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	s, err := store.New(store.Config{
		Dir: cfg.Dir, Logger: cfg.Logger, Registerer: cfg.Registerer, FS: cfg.FS, Now: cfg.Now,
		CacheBytes: cfg.CacheBytes, MemTableBytes: cfg.MemTableBytes,
		ReserveBytes: cfg.ReserveBytes, BallastBytes: cfg.BallastBytes,
	})
	if err != nil {
		return nil, err
	}
	return &Node{cfg: cfg, store: s, metrics: m, ready: make(chan struct{}), draining: make(chan struct{})}, nil
}

// Ready is closed once the node serves; [Node.Addr] is known then.
func (n *Node) Ready() <-chan struct{} { return n.ready }

// Addr is the address the node listens on, nil before it is ready.
func (n *Node) Addr() net.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr
}

// ConnectionString is what the official clients want, without credentials;
// empty before the node is ready.
func (n *Node) ConnectionString() string {
	addr := n.Addr()
	if addr == nil {
		return ""
	}
	return fmt.Sprintf("esdb://%s?tls=%t", addr, n.cfg.TLSCertFile != "")
}

// Run opens the log, serves until ctx ends, lets running calls end within
// DrainTimeout and closes the log. It may be called once. It returns nil after
// an orderly end.
//
// The parts, in the order in which they start; they end in the reverse order:
//
//	1 store       the log and its writer
//	2 listener    the port, shared by gRPC and plain HTTP
//	3 gRPC server streams, features, gossip, health
//	4 HTTP server /health/live for probes that do not speak gRPC
func (n *Node) Run(ctx context.Context) error {
	storeCtx, stopStore := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStore()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.store.Run(storeCtx) })
	group.Go(func() error {
		defer stopStore()
		select {
		case <-n.store.Ready():
			return n.serve(ctx)
		case <-ctx.Done():
			return nil
		}
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("embedded event store: %w", err)
	}
	return nil
}

func (n *Node) serve(ctx context.Context) error {
	server, healthServer, err := n.newServer()
	if err != nil {
		return err
	}
	listener, err := n.listen(ctx)
	if err != nil {
		return err
	}
	split := newSplitter(listener, n.cfg.Logger)
	web := &http.Server{Handler: n.healthHandler(), ReadHeaderTimeout: 5 * time.Second}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(split.run)
	group.Go(func() error {
		// Stopped before it began is an orderly end as well.
		if err := server.Serve(split.grpc); !errors.Is(err, grpc.ErrServerStopped) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		if err := web.Serve(split.web); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	close(n.ready)
	n.cfg.Logger.Info("embedded event store serves", "address", n.Addr().String(), "tls", n.cfg.TLSCertFile != "", "authentication", n.cfg.Username != "")

	<-ctx.Done()
	healthServer.Shutdown()
	close(n.draining)
	n.drain(server)
	return errors.Join(web.Close(), split.close(), group.Wait())
}

// drain ends running calls, by force after the limit.
func (n *Node) drain(server *grpc.Server) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.GracefulStop()
	}()
	limit := time.NewTimer(n.cfg.DrainTimeout)
	defer limit.Stop()
	select {
	case <-done:
	case <-limit.C:
		n.cfg.Logger.Warn("embedded event store: calls did not end in time, cutting them off", "limit", n.cfg.DrainTimeout)
		server.Stop()
		<-done
	}
}

func (n *Node) listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", n.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	n.mu.Lock()
	n.addr = listener.Addr()
	n.mu.Unlock()
	return n.secured(listener)
}

const (
	// maxMessageBytes is the largest protocol message, as EventStoreDB's.
	maxMessageBytes   = 17 << 20
	streamWindowBytes = 4 << 20
	connWindowBytes   = 16 << 20
	ioBufferBytes     = 128 << 10
)

func (n *Node) newServer() (*grpc.Server, *health.Server, error) {
	c, err := newCodec()
	if err != nil {
		return nil, nil, err
	}
	gate := newGate(n.cfg.Username, n.cfg.Password)
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(c),
		grpc.Creds(newHandoff()),
		grpc.MaxRecvMsgSize(maxMessageBytes),
		grpc.MaxSendMsgSize(maxMessageBytes),
		grpc.InitialWindowSize(streamWindowBytes),
		grpc.InitialConnWindowSize(connWindowBytes),
		grpc.ReadBufferSize(ioBufferBytes),
		grpc.WriteBufferSize(ioBufferBytes),
		grpc.KeepaliveEnforcementPolicy(keepalivePolicy),
		grpc.UnaryInterceptor(gate.unary),
		grpc.StreamInterceptor(gate.stream),
		grpc.UnknownServiceHandler(unimplemented),
	)
	streams.RegisterStreamsServer(server, &streamsService{
		store: n.store, metrics: n.metrics, draining: n.draining,
		limits: limits{appendBytes: n.cfg.MaxAppendBytes, chunkBytes: n.cfg.ReadChunkBytes, chunkEvents: n.cfg.ReadChunkEvents},
	})
	serverfeatures.RegisterServerFeaturesServer(server, featuresService{})
	gossip.RegisterGossipServer(server, newGossipService(n))
	healthServer := health.NewServer()
	healthServer.SetServingStatus("", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(server, healthServer)
	return server, healthServer, nil
}
