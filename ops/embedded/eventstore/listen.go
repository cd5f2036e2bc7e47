package eventstore

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// splitter shares one port between gRPC and plain HTTP/1.1, by the first
// bytes of each connection: an HTTP/2 client always begins with the same ones.
type splitter struct {
	inner  net.Listener
	log    *slog.Logger
	grpc   *queueListener
	web    *queueListener
	closed chan struct{}
	once   sync.Once
	sorted sync.WaitGroup // connections whose kind is not known yet
}

var http2Preface = []byte("PRI ")

// helloTimeout is how long a new connection may keep silent.
const helloTimeout = 10 * time.Second

func newSplitter(inner net.Listener, log *slog.Logger) *splitter {
	s := &splitter{inner: inner, log: log, closed: make(chan struct{})}
	s.grpc = &queueListener{splitter: s, conns: make(chan net.Conn)}
	s.web = &queueListener{splitter: s, conns: make(chan net.Conn)}
	return s
}

// run accepts connections until close.
func (s *splitter) run() error {
	defer s.sorted.Wait()
	for {
		conn, err := s.inner.Accept()
		if err != nil {
			select {
			case <-s.closed:
				return nil
			default:
				return fmt.Errorf("accept: %w", errors.Join(err, s.close()))
			}
		}
		s.sorted.Add(1)
		go func() {
			defer s.sorted.Done()
			s.sort(conn)
		}()
	}
}

// sort hands the connection to whom it belongs.
func (s *splitter) sort(conn net.Conn) {
	stop := make(chan struct{})
	defer close(stop)
	go func() { // a silent connection must not hold up the shutdown
		select {
		case <-s.closed:
			_ = conn.SetDeadline(time.Now())
		case <-stop:
		}
	}()
	first := make([]byte, len(http2Preface))
	err := conn.SetDeadline(time.Now().Add(helloTimeout))
	if err == nil {
		_, err = io.ReadFull(conn, first)
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		s.log.Debug("connection closed before it said what it wants", "peer", conn.RemoteAddr().String(), "err", errors.Join(err, conn.Close()))
		return
	}
	to := s.web
	if bytes.Equal(first, http2Preface) {
		to = s.grpc
	}
	select {
	case to.conns <- &replayConn{Conn: conn, first: first}:
	case <-s.closed:
		if err := conn.Close(); err != nil {
			s.log.Debug("close a connection at shutdown", "err", err)
		}
	}
}

func (s *splitter) close() error {
	var err error
	s.once.Do(func() {
		close(s.closed)
		err = s.inner.Close()
	})
	return err
}

// queueListener is one half of a splitter.
type queueListener struct {
	splitter *splitter
	conns    chan net.Conn
}

// Accept implements net.Listener.
func (l *queueListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.splitter.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener; the port is closed for both halves.
func (l *queueListener) Close() error { return l.splitter.close() }

// Addr implements net.Listener.
func (l *queueListener) Addr() net.Addr { return l.splitter.inner.Addr() }

// replayConn gives the bytes again that were read to find out its kind.
type replayConn struct {
	net.Conn
	first []byte
}

// Read implements net.Conn.
func (c *replayConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// secured terminates TLS in front of the splitter, if configured.
func (n *Node) secured(l net.Listener) (net.Listener, error) {
	if n.cfg.TLSCertFile == "" {
		return l, nil
	}
	cfg, err := n.cfg.tlsConfig()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return tls.NewListener(l, cfg), nil
}

// handoff tells gRPC about connections whose TLS was ended by the splitter's
// listener, so that calls know the client's certificate.
type handoff struct {
	credentials.TransportCredentials
}

func newHandoff() handoff { return handoff{insecure.NewCredentials()} }

// ServerHandshake implements credentials.TransportCredentials.
func (h handoff) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if r, ok := conn.(*replayConn); ok {
		if secure, ok := r.Conn.(*tls.Conn); ok {
			return conn, credentials.TLSInfo{
				State:          secure.ConnectionState(),
				CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
			}, nil
		}
	}
	return h.TransportCredentials.ServerHandshake(conn)
}

// Clone implements credentials.TransportCredentials.
func (h handoff) Clone() credentials.TransportCredentials {
	return handoff{h.TransportCredentials.Clone()}
}

// healthHandler answers probes: 204 while the node serves, 503 while it
// shuts down, 503 with a sentence for readiness while the disk is full.
func (n *Node) healthHandler() http.Handler {
	mux := http.NewServeMux()
	live := func(w http.ResponseWriter, _ *http.Request) {
		select {
		case <-n.draining:
			http.Error(w, "the node is shutting down", http.StatusServiceUnavailable)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}
	mux.HandleFunc("GET /health/live", live)
	mux.HandleFunc("GET /health/ready", func(w http.ResponseWriter, r *http.Request) {
		if n.store.DiskFull() {
			http.Error(w, "the disk is full, appends are refused", http.StatusServiceUnavailable)
			return
		}
		live(w, r)
	})
	return mux
}
