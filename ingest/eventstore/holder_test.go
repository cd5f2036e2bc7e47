package eventstore

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// lockedBuffer collects log lines of several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func currentOf(h *Holder) *generation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.current
}

func TestHolderIsPatientOnceThenFailsAtOnce(t *testing.T) {
	address := deadAddress(t)
	h := testHolder(t, Config{Connection: "esdb://" + address + "?tls=false", Patience: time.Second})
	start := time.Now()
	_, err := h.acquire(context.Background(), waitPatiently)
	require.ErrorIs(t, err, eventlog.ErrUnavailable)
	require.GreaterOrEqual(t, time.Since(start), time.Second)

	start = time.Now()
	_, err = h.acquire(context.Background(), waitPatiently)
	require.ErrorIs(t, err, eventlog.ErrUnavailable)
	require.ErrorContains(t, err, address)
	require.Less(t, time.Since(start), time.Second, "the outage is known by now")
	require.False(t, h.Connected())

	newFake().serve(t, address)
	require.NoError(t, h.Connect(testContext(t)), "it comes back by itself")
	require.True(t, h.Connected())
}

func TestHolderReplacesAClientWhoseConnectionIsLost(t *testing.T) {
	s := newFake()
	l := testLog(t, s, LogConfig{})
	ctx := testContext(t)
	require.NoError(t, l.holder.Connect(ctx))
	first := currentOf(l.holder)
	s.script(func(in streams.Streams_AppendServer) (bool, error) { return true, s.store(in, false) })
	_, err := l.Append(ctx, "ledger-1", eventlog.NoStream(), proposed(1))
	require.NoError(t, err)
	require.NotSame(t, first, currentOf(l.holder))
	<-first.closed // when its last call had returned
}

func TestRetiredGenerationServesNoNewCallAndClosesAfterTheLast(t *testing.T) {
	s := newFake()
	l := testLog(t, s, LogConfig{})
	ctx := testContext(t)
	lease, err := l.holder.acquire(ctx, waitForever)
	require.NoError(t, err)
	retired := make(chan struct{})
	go func() {
		lease.gen.retire() // waits for the call that has not got its connection yet
		close(retired)
	}()
	for currentOf(l.holder) == lease.gen {
		require.NoError(t, ctx.Err())
	}
	_, _, ok := lease.gen.lease(ctx)
	require.False(t, ok)
	select {
	case <-retired:
		t.Fatal("retired while a call could still ask for a connection")
	case <-time.After(20 * time.Millisecond):
	}
	_, err = lease.client.AppendToStream(lease.ctx, "s", appendAny(), data(proposed(1))...)
	require.NoError(t, err, "a call under way goes on")
	<-retired
	select {
	case <-lease.gen.closed:
		t.Fatal("closed under a call")
	default:
	}
	lease.release()
	<-lease.gen.closed
}

func TestHolderClose(t *testing.T) {
	s := newFake()
	h, err := NewHolder(Config{Connection: "esdb://" + s.serve(t, "127.0.0.1:0") + "?tls=false"})
	require.NoError(t, err)
	l, err := NewLog(h, LogConfig{})
	require.NoError(t, err)
	ctx := testContext(t)
	entered, proceed := make(chan struct{}), make(chan struct{})
	s.script(func(streams.Streams_AppendServer) (bool, error) {
		close(entered)
		<-proceed
		return false, nil
	})
	appended := make(chan error, 1)
	go func() {
		_, err := l.Append(ctx, "ledger-1", eventlog.NoStream(), proposed(1))
		appended <- err
	}()
	<-entered
	sub, err := l.Follow(ctx, eventlog.Position{}, eventlog.Filter{})
	require.NoError(t, err)
	closed := make(chan error, 1)
	go func() { closed <- h.Close() }()
	for err == nil { // new calls are refused while the old one goes on
		_, err = l.End(ctx)
	}
	require.ErrorIs(t, err, eventlog.ErrClosed)
	close(proceed)
	require.NoError(t, <-appended)
	require.NoError(t, <-closed)
	for err = nil; err == nil; {
		_, err = sub.Next(ctx)
	}
	require.ErrorIs(t, err, eventlog.ErrClosed)
	require.NoError(t, sub.Close())
	require.NoError(t, h.Close())
}

func TestHolderCloseBeforeUseAndWhileConnecting(t *testing.T) {
	h, err := NewHolder(Config{Connection: "esdb://" + deadAddress(t) + "?tls=false"})
	require.NoError(t, err)
	require.NoError(t, h.Close())
	require.ErrorIs(t, h.Connect(testContext(t)), eventlog.ErrClosed)

	h, err = NewHolder(Config{Connection: "esdb://" + deadAddress(t) + "?tls=false"})
	require.NoError(t, err)
	waiting := make(chan error, 1)
	go func() { waiting <- h.Connect(context.Background()) }()
	for connecting := false; !connecting; {
		h.mu.Lock()
		connecting = h.connecting
		h.mu.Unlock()
	}
	require.NoError(t, h.Close())
	require.ErrorIs(t, <-waiting, eventlog.ErrClosed)
}

// selfSigned writes a certificate for 127.0.0.1 and returns the server's side.
func selfSigned(t *testing.T) (caFile string, creds credentials.TransportCredentials) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return caFile, credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
}

func TestTLSAndCredentials(t *testing.T) {
	const password = "correct-horse"
	caFile, creds := selfSigned(t)
	s := newFake()
	address := s.serve(t, "127.0.0.1:0", grpc.Creds(creds))
	var logged lockedBuffer
	logger := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	conn := "esdb://admin:" + password + "@" + address + "?tlsCaFile=" + caFile
	h := testHolder(t, Config{Connection: conn, Logger: logger})
	l, err := NewLog(h, LogConfig{})
	require.NoError(t, err)
	s.script(refuse(status.Error(codes.Unavailable, "once"))) // so that an outage is logged too
	_, err = l.Append(testContext(t), "ledger-1", eventlog.NoStream(), proposed(1))
	require.NoError(t, err)
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+password))
	sent := s.headers[len(s.headers)-1].Get("authorization")
	require.Equal(t, []string{want}, sent)
	require.Contains(t, logged.String(), "admin:xxxxx@")
	require.NotContains(t, logged.String(), password)
	require.NotContains(t, logged.String(), strings.TrimPrefix(want, "Basic "))

	distrustful := testHolder(t, Config{Connection: "esdb://admin:" + password + "@" + address, Patience: time.Millisecond, Logger: logger})
	other, err := NewLog(distrustful, LogConfig{})
	require.NoError(t, err)
	err = errors.New("not tried")
	for ctx := testContext(t); ctx.Err() == nil && !strings.Contains(err.Error(), "certificate"); {
		_, err = other.End(ctx)
		require.ErrorIs(t, err, eventlog.ErrUnavailable, "a certificate nobody vouches for")
	}
	require.NotContains(t, err.Error(), password)
}
