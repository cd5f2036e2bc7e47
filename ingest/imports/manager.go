package imports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/ingest/profile"
)

// Manager keeps jobs and works on them. Make it with New, then Open, then
// Run; all other methods may be called from any goroutine after Open.
type Manager struct {
	cfg  Config
	deps Deps
	log  *slog.Logger

	mu       sync.Mutex
	jobs     map[string]*entry
	queue    []*entry        // not taken up yet, oldest first
	scopes   map[string]bool // reporter and source of jobs under way
	incoming int             // files being received
	wake     chan struct{}   // holds one token when the queue or the scopes changed

	atStep func(step) error                           // tests: called at each step; an error is a kill
	sleep  func(context.Context, time.Duration) error // waits between tries
}

// entry is a job in memory. man is guarded by Manager.mu while the job is
// under way; dir never changes.
type entry struct {
	man   *manifest
	dir   string
	ended chan struct{} // closed when the job is done or failed
}

// New makes an inert manager.
func New(cfg Config, deps Deps) *Manager {
	log := deps.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if deps.Metrics == nil {
		deps.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	return &Manager{cfg: cfg.orDefaults(), deps: deps, log: log, jobs: map[string]*entry{}, scopes: map[string]bool{},
		wake: make(chan struct{}, 1), sleep: sleep}
}

// Open reads the spool: it throws away what was not accepted and lines up the
// jobs that are not finished. It does not touch the log.
func (m *Manager) Open() error {
	if m.cfg.Dir == "" {
		return errors.New("imports: no spool folder is configured")
	}
	if err := os.RemoveAll(filepath.Join(m.cfg.Dir, incomingDir)); err != nil {
		return fmt.Errorf("clear the import spool: %w", err)
	}
	for _, dir := range []string{incomingDir, jobsDir} {
		if err := os.MkdirAll(filepath.Join(m.cfg.Dir, dir), 0o700); err != nil {
			return fmt.Errorf("make the import spool: %w", err)
		}
	}
	dirs, err := os.ReadDir(filepath.Join(m.cfg.Dir, jobsDir))
	if err != nil {
		return fmt.Errorf("read the import spool: %w", err)
	}
	for _, d := range dirs {
		dir := filepath.Join(m.cfg.Dir, jobsDir, d.Name())
		if _, err := uuid.Parse(d.Name()); err != nil {
			continue // half removed, or nobody's
		}
		man, err := loadManifest(dir)
		if err != nil {
			return err
		}
		m.enqueue(&entry{man: man, dir: dir})
	}
	return nil
}

// enqueue adds a job; ids sort by time, so that the oldest comes first.
func (m *Manager) enqueue(e *entry) {
	m.mu.Lock()
	m.jobs[e.man.ID] = e
	e.ended = make(chan struct{})
	if e.man.over() {
		close(e.ended)
	} else {
		m.queue = append(m.queue, e)
		slices.SortFunc(m.queue, func(a, b *entry) int { return cmp.Compare(a.man.ID, b.man.ID) })
	}
	m.deps.Metrics.queued.Set(float64(len(m.queue)))
	m.mu.Unlock()
	m.nudge()
}

func (m *Manager) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// reserve takes a place among the files that are being received. They are no
// jobs that wait: senders that are slow keep other senders out only in great
// number, and are told apart from a queue that does not move.
func (m *Manager) reserve() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) >= m.cfg.MaxQueued {
		return fault.New(fault.Unavailable, "%d imports wait already; try again when some have ended", m.cfg.MaxQueued)
	}
	if m.incoming >= m.cfg.MaxReceiving {
		return fault.New(fault.Unavailable, "%d files are being received already; try again when some have arrived", m.cfg.MaxReceiving)
	}
	m.incoming++
	return nil
}

func (m *Manager) unreserve() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.incoming--
}

func (m *Manager) stepOf(s step) error {
	if m.atStep != nil {
		return m.atStep(s)
	}
	return nil
}

func (m *Manager) profileNames() string {
	return strings.Join(slices.Sorted(maps.Keys(m.deps.Profiles)), ", ")
}

// Get returns a job. Error: *fault.Fault of kind NotFound.
func (m *Manager) Get(id string) (Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.jobs[id]
	if !ok {
		return Job{}, fault.New(fault.NotFound, "there is no import %q", id)
	}
	return e.man.Job, nil
}

// Wait returns a job once it is done or failed. Errors: *fault.Fault of kind
// NotFound; the context's.
func (m *Manager) Wait(ctx context.Context, id string) (Job, error) {
	m.mu.Lock()
	e, ok := m.jobs[id]
	m.mu.Unlock()
	if ok {
		select {
		case <-e.ended:
		case <-ctx.Done():
			return Job{}, ctx.Err()
		}
	}
	return m.Get(id)
}

// List returns the jobs, newest first.
func (m *Manager) List() []Job {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Job, 0, len(m.jobs))
	for _, e := range m.jobs {
		all = append(all, e.man.Job)
	}
	slices.SortFunc(all, func(a, b Job) int { return cmp.Compare(b.ID, a.ID) })
	return all
}

// Report opens a job's report as it stands, whole lines of NDJSON, each a
// Line. Errors: *fault.Fault of kind NotFound; or of the disk.
func (m *Manager) Report(id string) (io.ReadCloser, error) {
	m.mu.Lock()
	e, ok := m.jobs[id]
	m.mu.Unlock()
	if !ok {
		return nil, fault.New(fault.NotFound, "there is no import %q", id)
	}
	return openLines(filepath.Join(e.dir, reportFile))
}

// Run works on jobs until ctx ends, and returns nil then.
func (m *Manager) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	// A ticker for what only time brings: jobs grow too old to be kept.
	clean := time.NewTicker(time.Hour)
	defer clean.Stop()
	free := make(chan struct{}, m.cfg.Workers)
	m.clean()
	for {
		for {
			select {
			case free <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			e, bound, scope := m.take()
			if e == nil {
				<-free
				break
			}
			wg.Go(func() {
				if e.man.Cancellation != nil {
					m.workCancel(ctx, e)
				} else {
					m.work(ctx, e, bound)
				}
				m.leave(scope)
				<-free
				m.nudge()
			})
		}
		select {
		case <-m.wake:
		case <-clean.C:
			m.clean()
		case <-ctx.Done():
			return nil
		}
	}
}

// take returns the oldest job whose scope no other job is working on.
func (m *Manager) take() (*entry, *profile.Bound, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	take := func(i int, scope string) *entry {
		e := m.queue[i]
		m.scopes[scope] = true
		m.queue = slices.Delete(m.queue, i, i+1)
		m.deps.Metrics.queued.Set(float64(len(m.queue)))
		return e
	}
	for i, e := range m.queue {
		if e.man.Cancellation != nil {
			if scope := m.scopeToCancel(e); !m.scopes[scope] {
				return take(i, scope), nil, scope
			}
			continue
		}
		p, ok := m.deps.Profiles[e.man.Profile]
		if !ok {
			continue // stays queued until a program that knows the profile starts
		}
		bound, err := p.Bind(e.man.Parameters)
		if err != nil {
			if e.man.Explanation == "" {
				e.man.Explanation = "This version of the profile does not take the file's parameters."
				m.log.Error("import cannot go on with this version of its profile", "import", e.man.ID, "error", err)
			}
			continue
		}
		if m.scopes[scopeOf(bound)] {
			continue
		}
		return take(i, scopeOf(bound)), bound, scopeOf(bound)
	}
	return nil, nil, ""
}

// leave lets other jobs have a scope.
func (m *Manager) leave(scope string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.scopes, scope)
}

func scopeOf(b *profile.Bound) string { return b.Reporter() + "\x00" + b.Source() }

// work brings one job to its end, however often it must try.
func (m *Manager) work(ctx context.Context, e *entry, bound *profile.Bound) {
	log := m.log.With("import", e.man.ID, "profile", e.man.Profile)
	began := m.deps.Now()
	m.deps.Metrics.running.Inc()
	defer m.deps.Metrics.running.Dec()
	for pause := m.cfg.FirstPause; ; pause = min(2*pause, 64*m.cfg.FirstPause) {
		r := &run{m: m, id: e.man.ID, actor: e.man.Actor, dir: e.dir, bound: bound, log: log, man: e.man}
		log.Info("import begins", "rows_reported", e.man.Rows)
		err := r.work(ctx)
		if err == nil {
			job, _ := m.Get(r.id)
			log.Info("import ended", "status", job.Status, "rows", job.Rows, "counts", job.Counts)
			m.deps.Metrics.ended(job)
			close(e.ended)
			m.deps.Metrics.duration.Observe(m.deps.Now().Sub(began).Seconds())
			return
		}
		if ctx.Err() != nil || errors.Is(err, errKilled) {
			return
		}
		log.Error("import broke off, it is tried again", "pause", pause, "error", err)
		r.waiting("The import broke off and is tried again: " + cutDetail(noRoom(err)))
		m.deps.Metrics.waits.Inc()
		if err := m.sleep(ctx, pause); err != nil {
			return
		}
	}
}

// errKilled is what tests stop a job with.
var errKilled = errors.New("killed by a test")

func cutDetail(err error) string {
	var f *fault.Fault
	if errors.As(err, &f) {
		return f.Detail
	}
	return "see the server's log."
}
