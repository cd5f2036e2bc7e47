package eventstore

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
)

// Config of a node. Zero values mean the default named at the field.
type Config struct {
	// Dir is the data folder. It is created with mode 0700 and used by one
	// process at a time.
	Dir string
	// Listen is the address to serve on. Default 127.0.0.1:0, a free port of
	// the loopback interface. Any other interface needs TLS and credentials.
	Listen string
	// Username and Password that every call must carry; empty = none needed.
	// They need TLS, since no client sends them in the clear.
	Username, Password string
	// TLSCertFile and TLSKeyFile in PEM; empty = no TLS.
	TLSCertFile, TLSKeyFile string
	// ClientCAFile in PEM; empty = none. A client that presents a certificate
	// signed by it, with Username as its common name, needs no password; one
	// whose certificate names somebody else is refused whatever it sends.
	ClientCAFile string
	// Logger must not be nil.
	Logger *slog.Logger
	// Registerer of the metrics; may be nil.
	Registerer prometheus.Registerer

	// MaxAppendBytes is the largest append. Default 1 MiB, as EventStoreDB's.
	MaxAppendBytes int
	// ReadChunkBytes is how much of a read is prepared at a time. Default 256 KiB.
	ReadChunkBytes int
	// ReadChunkEvents likewise, in events. Default 512.
	ReadChunkEvents int
	// DrainTimeout is how long calls may take to end at shutdown. Default 10 s.
	DrainTimeout time.Duration
	// CacheBytes of storage blocks kept in memory. Default 32 MiB.
	CacheBytes int64
	// MemTableBytes of one storage write buffer. Default 16 MiB.
	MemTableBytes uint64
	// ReserveBytes of free disk space below which appends are refused. Default 256 MiB.
	ReserveBytes uint64
	// BallastBytes of a file that is given up when the disk is full in spite
	// of the reserve. Default 64 MiB.
	BallastBytes uint64
	// FS is the file system of the log. Default the operating system's.
	FS vfs.FS
	// Now is the clock of recorded time. Default time.Now.
	Now func() time.Time
}

const (
	defaultListen          = "127.0.0.1:0"
	defaultMaxAppendBytes  = 1 << 20
	defaultReadChunkBytes  = 256 << 10
	defaultReadChunkEvents = 512
	defaultDrainTimeout    = 10 * time.Second
	// largestAppendBytes is what fits into one protocol message beside its frame.
	largestAppendBytes = 16 << 20
)

func (c *Config) setDefaults() {
	if c.Listen == "" {
		c.Listen = defaultListen
	}
	if c.MaxAppendBytes == 0 {
		c.MaxAppendBytes = defaultMaxAppendBytes
	}
	if c.ReadChunkBytes == 0 {
		c.ReadChunkBytes = defaultReadChunkBytes
	}
	if c.ReadChunkEvents == 0 {
		c.ReadChunkEvents = defaultReadChunkEvents
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = defaultDrainTimeout
	}
}

// validate returns all that is wrong at once.
func (c *Config) validate() error {
	var errs []error
	if c.Dir == "" {
		errs = append(errs, errors.New("the field Dir is empty; name the data folder"))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("the field Logger is nil"))
	}
	if (c.Username == "") != (c.Password == "") {
		errs = append(errs, errors.New("the fields Username and Password belong together; one of them is empty"))
	}
	if (c.TLSCertFile == "") != (c.TLSKeyFile == "") {
		errs = append(errs, errors.New("TLSCertFile and TLSKeyFile belong together; one of them is empty"))
	}
	withTLS, withUser := c.TLSCertFile != "", c.Username != ""
	if withUser && !withTLS {
		errs = append(errs, errors.New("a Username is set without TLSCertFile; clients send credentials over TLS only"))
	}
	if c.ClientCAFile != "" && !withUser {
		errs = append(errs, errors.New("ClientCAFile is set without Username; it says whose certificate is let in"))
	}
	if c.MaxAppendBytes < 0 || c.MaxAppendBytes > largestAppendBytes {
		errs = append(errs, fmt.Errorf("MaxAppendBytes is %d, want 1 to %d", c.MaxAppendBytes, largestAppendBytes))
	}
	if c.ReadChunkBytes < 0 || c.ReadChunkEvents < 0 {
		errs = append(errs, fmt.Errorf("ReadChunkBytes is %d and ReadChunkEvents %d, neither may be negative", c.ReadChunkBytes, c.ReadChunkEvents))
	}
	if c.DrainTimeout < 0 {
		errs = append(errs, fmt.Errorf("DrainTimeout is %s, it must not be negative", c.DrainTimeout))
	}
	if err := checkListen(c.Listen, withTLS && withUser); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return fmt.Errorf("embedded event store: %w", errors.Join(errs...))
	}
	return nil
}

// checkListen lets only a protected node be reached from other machines.
func checkListen(address string, protected bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("the address %q of Listen is not host:port: %w", address, err)
	}
	if host == "localhost" || protected {
		return nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("the address %q of Listen is reachable from other machines; that needs TLSCertFile, TLSKeyFile, Username and Password", address)
}

func (c *Config) tlsConfig() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(c.TLSCertFile, c.TLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("load TLSCertFile %s and TLSKeyFile %s: %w", c.TLSCertFile, c.TLSKeyFile, err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	if c.ClientCAFile == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(c.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("load ClientCAFile: %w", err)
	}
	cfg.ClientCAs = x509.NewCertPool()
	if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ClientCAFile %s holds no certificate in PEM", c.ClientCAFile)
	}
	cfg.ClientAuth = tls.VerifyClientCertIfGiven
	return cfg, nil
}
