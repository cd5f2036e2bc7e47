//go:build linux

package clickhouse

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/guard"
	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/internal/engine"
)

// Server hosts one engine. Create it with New, run it with Run.
type Server struct {
	cfg     Config
	lib     string // path of libchdb.so
	log     *slog.Logger
	metrics *metrics

	accounts   []account
	guard      *guard.Guard  // judges the researcher's statements
	adminSlots chan struct{} // one per admin statement that may run
	researcher chan struct{} // one per research query that may run

	current     atomic.Pointer[child] // the child that serves, nil while there is none
	engineReady chan struct{}         // closed when the first child serves
	readyOnce   sync.Once             // closes engineReady
	ready       chan struct{}         // closed when the HTTP interface answers too
	addr        atomic.Pointer[string]
}

// New checks cfg, finds the engine library and returns a Server that does
// nothing until Run. Errors name the field, and all of them are returned at once.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	lib, libErr := FindLibrary(cfg.LibPath)
	if libErr != nil {
		libErr = fmt.Errorf("clickhouse: %w", libErr)
	}
	if err := errors.Join(err, libErr); err != nil {
		return nil, err
	}
	if cfg.AdminPassword == "" {
		cfg.AdminPassword = rand.Text()
	}
	if len(cfg.Executable) == 0 {
		program, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("clickhouse: Executable: %w", err)
		}
		cfg.Executable = []string{program, "clickhouse-engine"}
	}
	metrics, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	s := &Server{
		cfg: cfg, lib: lib, log: cfg.Logger, metrics: metrics,
		accounts: []account{
			newAccount(roleAdmin, cfg.AdminUser, cfg.AdminPassword),
			newAccount(roleResearcher, cfg.ResearcherUser, cfg.ResearcherPassword),
		},
		adminSlots:  make(chan struct{}, cfg.Limits.AdminConcurrency),
		researcher:  make(chan struct{}, cfg.Limits.ResearcherConcurrency),
		engineReady: make(chan struct{}),
		ready:       make(chan struct{}),
	}
	s.guard = guard.New(parser{s}, cfg.ResearchDatabases)
	return s, nil
}

// Run prepares the folder, starts the engine and serves until ctx ends; then it
// lets running statements end, within StopTime, and closes the data path. It
// returns nil after such an orderly end.
func (s *Server) Run(ctx context.Context) error {
	if err := s.prepareFolder(); err != nil {
		return fmt.Errorf("clickhouse: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("clickhouse: Listen %q: %w", s.cfg.Listen, err)
	}
	addr := listener.Addr().String()
	s.addr.Store(&addr)

	httpServer := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    2 << 20, // parameters travel in the URL
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	// The engine ends after the HTTP interface has drained, so it has a context
	// of its own.
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	defer stopEngine()
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.supervise(engineCtx) })
	group.Go(func() error {
		select {
		case <-s.engineReady:
			close(s.ready)
			s.log.Info("clickhouse serves", slog.String("addr", addr), slog.String("dir", s.cfg.Dir))
		case <-groupCtx.Done():
		}
		return nil
	})
	group.Go(func() error {
		if err := httpServer.Serve(netutil.LimitListener(listener, s.cfg.Limits.Connections)); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("clickhouse: serve: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		<-groupCtx.Done()
		defer stopEngine()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Limits.StopTime)
		defer cancel()
		if err := httpServer.Shutdown(grace); err != nil {
			s.log.Warn("clickhouse requests still running after the stop limit are cut", slog.Any("error", err))
			return ignoreDeadline(errors.Join(err, httpServer.Close()))
		}
		return nil
	})
	return group.Wait()
}

func ignoreDeadline(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// Ready is closed once the engine has opened its data and the interface answers.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr returns host and port of the HTTP interface, empty before Run listens.
func (s *Server) Addr() string {
	if addr := s.addr.Load(); addr != nil {
		return *addr
	}
	return ""
}

// AdminUser returns the name of the account with full access.
func (s *Server) AdminUser() string { return s.cfg.AdminUser }

// ResearcherUser returns the name of the read-only account.
func (s *Server) ResearcherUser() string { return s.cfg.ResearcherUser }

// ConnectionString returns "http://user:password@host:port/database" for one of
// the two accounts, as clickhouse.ParseDSN takes it. An empty database means
// "default" for the admin and the first research database for the researcher.
// It is empty before Run listens and for a name that is no account.
func (s *Server) ConnectionString(user, database string) string {
	addr := s.Addr()
	for _, a := range s.accounts {
		if addr == "" || a.name != user {
			continue
		}
		if database == "" {
			database = s.defaultDatabase(a.role)
		}
		u := url.URL{Scheme: "http", Host: addr, Path: "/" + database, User: url.UserPassword(a.name, s.password(a.role))}
		return u.String()
	}
	return ""
}

func (s *Server) password(r role) string {
	if r == roleAdmin {
		return s.cfg.AdminPassword
	}
	return s.cfg.ResearcherPassword
}

func (s *Server) defaultDatabase(r role) string {
	if r == roleAdmin {
		return "default"
	}
	return s.cfg.ResearchDatabases[0]
}

// EnginePID returns the process id of the engine child that serves now, or
// false while there is none. Fault tests kill it.
func (s *Server) EnginePID() (int, bool) {
	c := s.current.Load()
	if c == nil {
		return 0, false
	}
	return c.cmd.Process.Pid, true
}

// Dir returns the folder that belongs to this engine.
func (s *Server) Dir() string { return s.cfg.Dir }

// BackupFolder is the one folder outside its tables that the engine may write
// to by statement: BACKUP TABLE … TO File('name.zip') puts its archives there.
func (s *Server) BackupFolder() string { return s.folder("backups") }

func (s *Server) folder(name string) string { return filepath.Join(s.cfg.Dir, name) }

func (s *Server) engineSpec() engine.Spec {
	return engine.Spec{
		LibPath:    s.lib,
		DataPath:   s.folder("engine"),
		ConfigFile: filepath.Join(s.folder("config"), "config.xml"),
		LockFile:   s.folder("lock"),
		LockWait:   min(10*time.Second, s.cfg.Limits.StartTime/2).Milliseconds(),
		StopWait:   s.cfg.Limits.StopTime.Milliseconds(),
		Sandbox: engine.Sandbox{
			Off:       s.cfg.SandboxOff,
			ReadOnly:  []string{s.lib, s.folder("config")},
			ReadWrite: []string{s.folder("engine"), s.folder("spool"), s.folder("run"), s.BackupFolder(), s.folder("lock")},
		},
	}
}
