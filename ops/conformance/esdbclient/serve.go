package esdbclient

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore"
	"github.com/stofstrom/stofstrom/ops/embedded/eventstore/store"
)

// Variables by which the suite asks this program for a node.
const (
	nodeEnv  = "STOFSTROM_CONFORMANCE_NODE"
	dirEnv   = "STOFSTROM_CONFORMANCE_DIR"
	certsEnv = "STOFSTROM_CONFORMANCE_CERTS"
)

// AskedToServe says whether the suite started this program to serve a node.
func AskedToServe() bool { return os.Getenv(nodeEnv) != "" }

// Serve runs one node, as the environment asks, and writes its address to out.
// It returns when ctx ends.
func Serve(ctx context.Context, out io.Writer, log *slog.Logger) error {
	cfg := eventstore.Config{Dir: filepath.Join(os.Getenv(dirEnv), "log"), Logger: log}
	if os.Getenv("EVENTSTORE_INSECURE") == "false" {
		certs := os.Getenv(certsEnv)
		cfg.TLSCertFile, cfg.TLSKeyFile = filepath.Join(certs, "node", "node.crt"), filepath.Join(certs, "node", "node.key")
		cfg.ClientCAFile = filepath.Join(certs, "ca", "ca.crt")
		cfg.Username, cfg.Password = "admin", "changeit"
	}
	if os.Getenv(nodeEnv) == "populated" {
		if err := populate(ctx, cfg.Dir, log); err != nil {
			return err
		}
	}
	node, err := eventstore.New(cfg)
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-node.Ready():
			fmt.Fprintln(out, node.Addr())
		case <-ctx.Done():
		}
	}()
	return node.Run(ctx)
}

const (
	standInStream = "dataset20M-0"
	standInEvents = 6000
)

// populate writes the stream that some tests read of the vendor's data set.
func populate(ctx context.Context, dir string, log *slog.Logger) error {
	s, err := store.New(store.Config{Dir: dir, Logger: log})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	events := make([]store.Proposed, standInEvents)
	for i := range events {
		events[i] = store.Proposed{ID: uuid.New(), JSON: true, Type: []byte("eventType-0"), Data: fmt.Appendf(nil, `{"n":%d}`, i)}
	}
	if _, err := s.Append(ctx, standInStream, store.Expected{Kind: store.ExpectNoStream}, events); err != nil {
		return fmt.Errorf("write the stand-in stream: %w", err)
	}
	stop()
	return <-ended
}

// writeCertificates makes what the suite expects to find: an authority, a node
// and two users signed by it, and an authority that nobody trusts.
func writeCertificates(dir string) error {
	ca, err := newCertificate(dir, "ca/ca", "ca", nil)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		path, name string
		parent     *signed
	}{
		{"node/node", "node", ca}, {"user-admin/user-admin", "admin", ca}, {"user-invalid/user-invalid", "invalid", ca}, {"untrusted-ca/ca", "untrusted", nil},
	} {
		if _, err := newCertificate(dir, c.path, c.name, c.parent); err != nil {
			return err
		}
	}
	return nil
}

type signed struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCertificate(dir, path, name string, parent *signed) (*signed, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	cert := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
	}
	self := &signed{cert: cert, key: key}
	if parent == nil {
		cert.IsCA, cert.KeyUsage, cert.ExtKeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature, nil
		parent = self
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent.cert, &key.PublicKey, parent.key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	base := filepath.Join(dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(base), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(base+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return nil, err
	}
	return self, os.WriteFile(base+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600)
}
