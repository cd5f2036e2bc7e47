package eventstore

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// fakeDisk is the real file system with a free space of the test's choice,
// and with writes to the write-ahead log that fail on demand.
type fakeDisk struct {
	vfs.FS
	free    atomic.Uint64
	fullLog atomic.Bool
}

func newFakeDisk() *fakeDisk {
	d := &fakeDisk{}
	d.free.Store(1 << 40)
	d.FS = errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if d.fullLog.Load() && op.Kind == errorfs.OpFileWrite && strings.HasSuffix(op.Path, ".log") {
			d.free.Store(0)
			return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
		}
		return nil
	}))
	return d
}

func (d *fakeDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	free := d.free.Load()
	return vfs.DiskUsage{AvailBytes: free, TotalBytes: 1 << 41, UsedBytes: 1<<41 - free}, nil
}

func TestDiskFullIsRefusedAndGoesOnByItself(t *testing.T) {
	disk := newFakeDisk()
	cfg := testConfig(t)
	cfg.FS = disk
	cfg.Registerer = prometheus.NewRegistry()
	node, _ := startNode(t, cfg)
	client := connect(t, node.ConnectionString())
	ctx := testContext(t)
	_, err := client.AppendToStream(ctx, "s", expect(esdb.NoStream{}), newEvents(3)...)
	require.NoError(t, err)

	disk.free.Store(cfg.ReserveBytes - 1)
	events := newEvents(2)
	for range 3 {
		_, err = client.AppendToStream(ctx, "s", expect(esdb.Revision(2)), events...)
		require.ErrorContains(t, err, "disk full")
		st := status.Convert(clientCause(t, err))
		require.Equal(t, codes.ResourceExhausted, st.Code())
		info, ok := st.Details()[0].(*errdetails.ErrorInfo)
		require.True(t, ok)
		require.Equal(t, ReasonDiskFull, info.GetReason())
	}
	require.Len(t, readStream(t, client, "s", esdb.ReadStreamOptions{}), 3, "reading goes on")
	require.Equal(t, http.StatusServiceUnavailable, httpStatus(t, node, "/health/ready"))

	disk.free.Store(1 << 40)
	result, err := client.AppendToStream(ctx, "s", expect(esdb.Revision(2)), events...)
	require.NoError(t, err)
	require.EqualValues(t, 5, result.CommitPosition)
	require.Equal(t, http.StatusNoContent, httpStatus(t, node, "/health/ready"))
}

// TestWritesFailInTheMiddle lets the write-ahead log run into a full disk in
// spite of the reserve, as when another process takes the last block.
func TestWritesFailInTheMiddle(t *testing.T) {
	disk := newFakeDisk()
	cfg := testConfig(t)
	cfg.FS = disk
	cfg.Logger = quietLogger()
	node, _ := startNode(t, cfg)
	client := connect(t, node.ConnectionString())
	ctx := testContext(t)
	_, err := client.AppendToStream(ctx, "s", expect(esdb.NoStream{}), newEvents(3)...)
	require.NoError(t, err)

	disk.fullLog.Store(true)
	events := newEvents(2)
	_, err = client.AppendToStream(ctx, "s", expect(esdb.Revision(2)), events...)
	require.Error(t, err)
	_, err = os.Stat(filepath.Join(cfg.Dir, "BALLAST"))
	require.ErrorIs(t, err, os.ErrNotExist, "the ballast was given up")

	disk.fullLog.Store(false)
	disk.free.Store(1 << 40)
	// The retry settles the unknown outcome; it waits until the log is open again.
	result, err := client.AppendToStream(ctx, "s", expect(esdb.Revision(2)), events...)
	require.NoError(t, err)
	require.EqualValues(t, 4, result.NextExpectedVersion)
	require.Len(t, readStream(t, client, "s", esdb.ReadStreamOptions{}), 5)
	_, err = node.Check(ctx)
	require.NoError(t, err)
	_, err = os.Stat(filepath.Join(cfg.Dir, "BALLAST"))
	require.NoError(t, err, "and is there again")
}

func httpStatus(t testing.TB, node *Node, path string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(testContext(t), http.MethodGet, "http://"+node.Addr().String()+path, nil)
	require.NoError(t, err)
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// writeCertificate makes a self-signed certificate for the loopback address.
func writeCertificate(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	keyDER, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "node.crt"), filepath.Join(dir, "node.key")
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
	return certFile, keyFile
}

func TestTLSAndCredentials(t *testing.T) {
	cfg := testConfig(t)
	cfg.TLSCertFile, cfg.TLSKeyFile = writeCertificate(t)
	cfg.Username, cfg.Password = "admin", "changeit"
	node, _ := startNode(t, cfg)
	ctx := testContext(t)
	address := node.Addr().String()
	write := func(connection string) error {
		_, err := connect(t, connection).AppendToStream(ctx, "s", expect(esdb.Any{}), newEvent(1))
		return err
	}
	trusted := "?tls=true&tlsCAFile=" + cfg.TLSCertFile
	require.NoError(t, write("esdb://admin:changeit@"+address+trusted))
	require.NoError(t, write("esdb+discover://admin:changeit@"+address+trusted), "gossip gives an address that works")
	requireCode(t, write("esdb://admin:wrong@"+address+trusted), esdb.ErrorCodeUnauthenticated)
	requireCode(t, write("esdb://other:changeit@"+address+trusted), esdb.ErrorCodeUnauthenticated)
	requireCode(t, write("esdb://"+address+trusted), esdb.ErrorCodeUnauthenticated)
	require.ErrorContains(t, write("esdb://admin:changeit@"+address+"?maxDiscoverAttempts=1"), "certificate")
	_, err := connect(t, "esdb://"+address+trusted).SubscribeToAll(ctx, esdb.SubscribeToAllOptions{})
	require.Error(t, err)

	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // the certificate is the test's own
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/health/live", nil)
	require.NoError(t, err)
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusNoContent, resp.StatusCode, "probes need no credentials")
}

func TestConfigurationIsRefusedAsAWhole(t *testing.T) {
	_, err := New(Config{Listen: "0.0.0.0:2113", Username: "u", TLSKeyFile: "k", MaxAppendBytes: -1, DrainTimeout: -1})
	for _, part := range []string{"Dir is empty", "Logger is nil", "Username and Password", "TLSCertFile and TLSKeyFile", "reachable from other machines", "MaxAppendBytes", "DrainTimeout"} {
		require.ErrorContains(t, err, part)
	}
	cfg := testConfig(t)
	cfg.Username, cfg.Password = "u", "p"
	_, err = New(cfg)
	require.ErrorContains(t, err, "over TLS only")
}

func TestAFolderBelongsToOneNode(t *testing.T) {
	cfg := testConfig(t)
	startNode(t, cfg)
	cfg.Registerer = nil
	second, err := New(cfg)
	require.NoError(t, err)
	require.ErrorContains(t, second.Run(context.Background()), "lock data folder")
}

func TestAPortThatIsTaken(t *testing.T) {
	node, _ := startNode(t, testConfig(t))
	cfg := testConfig(t)
	cfg.Listen = node.Addr().String()
	second, err := New(cfg)
	require.NoError(t, err)
	require.ErrorIs(t, second.Run(context.Background()), syscall.EADDRINUSE)
}

func TestShutdownEndsSubscriptions(t *testing.T) {
	node, stop := startNode(t, testConfig(t))
	client := connect(t, node.ConnectionString())
	sub, err := client.SubscribeToAll(testContext(t), esdb.SubscribeToAllOptions{From: esdb.Start{}})
	require.NoError(t, err)
	require.NotNil(t, sub.Recv().CaughtUp)
	require.NoError(t, stop())
	dropped := sub.Recv().SubscriptionDropped
	require.NotNil(t, dropped)
	require.Equal(t, codes.Unavailable, status.Code(dropped.Error))
}

func TestMetricsMove(t *testing.T) {
	registry := prometheus.NewRegistry()
	cfg := testConfig(t)
	cfg.Registerer = registry
	node, _ := startNode(t, cfg)
	client := connect(t, node.ConnectionString())
	ctx := testContext(t)
	events := newEvents(3)
	for range 2 {
		_, err := client.AppendToStream(ctx, "s", expect(esdb.NoStream{}), events...)
		require.NoError(t, err)
	}
	_, err := client.AppendToStream(ctx, "s", expect(esdb.NoStream{}), newEvent(1))
	require.Error(t, err)
	sub, err := client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	require.NoError(t, err)
	got, _ := untilCaughtUp(t, sub)
	require.Len(t, got, 3)
	size := 0
	for _, e := range events {
		size += len(e.Data) + len(e.Metadata) + 2*len(e.EventType)
	}
	want := fmt.Sprintf(`
# HELP eventstore_appends_total Appends, deletions and tombstones decided, by result: written, idempotent, conflict, failed.
# TYPE eventstore_appends_total counter
eventstore_appends_total{result="conflict"} 1
eventstore_appends_total{result="idempotent"} 1
eventstore_appends_total{result="written"} 1
# HELP eventstore_events_written_total Events made durable in the log.
# TYPE eventstore_events_written_total counter
eventstore_events_written_total 3
# HELP eventstore_written_bytes_total Bytes of event data, metadata and type names made durable, before compression.
# TYPE eventstore_written_bytes_total counter
eventstore_written_bytes_total %d
# HELP eventstore_events_read_total Events sent to readers and subscribers.
# TYPE eventstore_events_read_total counter
eventstore_events_read_total 3
# HELP eventstore_subscriptions Subscriptions that are open now.
# TYPE eventstore_subscriptions gauge
eventstore_subscriptions 1
# HELP eventstore_position Position of the last durable event; also the number of events in the log.
# TYPE eventstore_position gauge
eventstore_position 3
`, size)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(want),
		"eventstore_appends_total", "eventstore_events_written_total", "eventstore_written_bytes_total",
		"eventstore_events_read_total", "eventstore_subscriptions", "eventstore_position"))
	require.NoError(t, sub.Close())
	for _, name := range []string{"eventstore_commit_seconds", "eventstore_commit_group_appends", "eventstore_read_bytes_total", "eventstore_disk_full"} {
		n, err := testutil.GatherAndCount(registry, name)
		require.NoError(t, err)
		require.Positive(t, n, name)
	}
}
