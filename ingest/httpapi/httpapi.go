// Package httpapi is how senders reach the write path: events, files,
// facilities and areas over HTTP (openapi.yaml, which is part of the package,
// is the contract).
//
// It promises that
//   - a 200 or 201 means durable: the event is fsynced in the log before the
//     answer leaves; a 202 means that a file is fsynced and its job ends by
//     itself;
//   - every request may be repeated: what is recorded already is answered so,
//     and under an Idempotency-Key the very same answer comes again;
//   - a refusal is a problem document (RFC 9457) whose violations name line,
//     field, rule and value, and one table maps kinds of failure to statuses;
//   - streams of lines are answered line by line, in order, in flat memory;
//   - body, batch, line and time have limits;
//   - a web page of another site cannot make a browser post here, and in
//     single-user mode no name but a loopback one reaches it.
//
// It leaves out who may do what (ingest/access), questions
// (analytics/httpapi), and the listener (ops).
package httpapi

import (
	"context"
	_ "embed" // the contract is part of the program
	"io"
	"iter"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stofstrom/stofstrom/domain/area"
	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/ingest/codec"
	"github.com/stofstrom/stofstrom/ingest/imports"
	"github.com/stofstrom/stofstrom/ingest/index"
	"github.com/stofstrom/stofstrom/ingest/intake"
	"github.com/stofstrom/stofstrom/ingest/register"
)

//go:embed openapi.yaml
var contract []byte

// OpenAPI is the contract of these routes, as YAML. The caller must not change
// the bytes.
func OpenAPI() []byte { return contract }

// Config limits the handler. Zero values take the defaults.
type Config struct {
	MaxBodyBytes  int64         // body of events and batches, and of facilities and areas; 64 MiB
	Events        codec.Limits  // of single events, batches and lines
	ChunkEvents   int           // lines of a stream submitted together; 1,000
	MaxTogether   int           // events recorded in one append (mode=atomic); 500
	BodyTimeout   time.Duration // for reading a body that is no stream and no file; 1 min
	IdleTimeout   time.Duration // without a byte of a stream or a file read or written; 1 min
	SubmitTimeout time.Duration // for recording one request or one part of a stream; 30 s
	MaxAreas      int           // areas in one request; 10,000
	MaxKeptBytes  int           // of an answer that is kept under an Idempotency-Key; 4 MiB

	// SingleUser: nobody is asked who they are, and only loopback names, and
	// those of Hosts, reach the handler.
	SingleUser bool
	Hosts      []string // names, without port, that also reach it in single-user mode
}

func (c Config) orDefaults() Config {
	setDefault(&c.MaxBodyBytes, 64<<20)
	setDefault(&c.ChunkEvents, 1000)
	setDefault(&c.MaxTogether, 500)
	setDefault(&c.BodyTimeout, time.Minute)
	setDefault(&c.IdleTimeout, time.Minute)
	setDefault(&c.SubmitTimeout, 30*time.Second)
	setDefault(&c.MaxAreas, 10_000)
	setDefault(&c.MaxKeptBytes, 4<<20)
	return c
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// Intake records events. *intake.Service is one.
type Intake interface {
	// Submit returns one result per item, in order.
	Submit(ctx context.Context, items []intake.Item) []intake.Result
	// SubmitAtomic records all items in one append, or none; one result each.
	SubmitAtomic(ctx context.Context, items []intake.Item) []intake.Result
	// Refused counts an event that was refused before it could be submitted.
	Refused(err error)
	// Event tells where an event stands in the log.
	Event(ctx context.Context, id uuid.UUID) (place index.Place, found bool, err error)
	// Feed yields what stands in a facility's own streams, in log order.
	Feed(ctx context.Context, id facility.ID, after eventlog.Position) iter.Seq2[index.Placed, error]
	// Booked yields what is booked in a month and stands in another's ledger.
	Booked(ctx context.Context, id facility.ID, month string) iter.Seq2[index.Placed, error]
}

// Imports takes files. *imports.Manager is one.
type Imports interface {
	Create(body io.Reader, req imports.Request) (imports.Job, error)
	Get(id string) (imports.Job, error)
	List() []imports.Job
	Report(id string) (io.ReadCloser, error)
	// Cancel asks for what an import recorded to be cancelled.
	Cancel(id, reason, actor string) (imports.Job, error)
	CancelReport(id string) (io.ReadCloser, error)
	// Returned is the sender's own file with the results beside its rows.
	Returned(id string, lang imports.Language) (*imports.Returned, error)
}

// Register knows facilities and areas. *register.Register is one.
type Register interface {
	Facility(id facility.ID) (register.FacilityEntry, bool)
	Facilities() []register.FacilityEntry
	Area(id area.ID) (register.AreaEntry, bool)
	Areas() []register.AreaEntry
	PutFacility(ctx context.Context, f facility.Facility, source register.Source, meta event.Meta) register.Outcome
	PutAreas(ctx context.Context, all []area.Area, source register.Source, meta event.Meta) []register.Outcome
}

// Streams reads recorded events back.
type Streams interface {
	ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[eventlog.Recorded, error]
}

// Deps is what the handler works with. Registry and Logger may be nil.
type Deps struct {
	Intake   Intake
	Imports  Imports
	Register Register
	Streams  Streams
	Answers  Answers
	Registry prometheus.Registerer
	Logger   *slog.Logger
	// Actor tells who makes a request: the id of a key. Nil: "single-user".
	Actor func(*http.Request) string
}

// Handler serves the routes.
type Handler struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *metrics
	mux     *http.ServeMux
	cross   *http.CrossOriginProtection
}

// New makes a handler.
func New(cfg Config, deps Deps) *Handler {
	h := &Handler{cfg: cfg.orDefaults(), deps: deps, log: deps.Logger, mux: http.NewServeMux(), cross: http.NewCrossOriginProtection()}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.deps.Registry == nil {
		h.deps.Registry = prometheus.NewRegistry()
	}
	if h.deps.Actor == nil {
		h.deps.Actor = func(*http.Request) string { return "single-user" }
	}
	h.metrics = newMetrics(h.deps.Registry)
	for _, r := range h.routes() {
		h.mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, req *http.Request) {
			if err := r.serve(w, req); err != nil {
				h.refuse(w, req, err)
			}
		})
	}
	return h
}

// route is one operation of the contract.
type route struct {
	method, path string
	serve        func(http.ResponseWriter, *http.Request) error
}

func (h *Handler) routes() []route {
	return []route{
		{http.MethodPost, "/v1/events", h.postEvents},
		{http.MethodGet, "/v1/events/{id}", h.getEvent},
		{http.MethodDelete, "/v1/events/{id}", h.deleteEvent},
		{http.MethodPost, "/v1/events/{id}/corrections", h.postCorrection},
		{http.MethodGet, "/v1/ledgers/{facility}/{period}", h.getLedger},
		{http.MethodPost, "/v1/ledgers/{facility}/{period}/close", h.closeLedger},
		{http.MethodPost, "/v1/imports", h.postImport},
		{http.MethodGet, "/v1/imports", h.listImports},
		{http.MethodGet, "/v1/imports/{id}", h.getImport},
		{http.MethodDelete, "/v1/imports/{id}", h.deleteImport},
		{http.MethodGet, "/v1/imports/{id}/report", h.getReport},
		{http.MethodGet, "/v1/imports/{id}/cancellation", h.getCancellation},
		{http.MethodGet, "/v1/facilities", h.listFacilities},
		{http.MethodGet, "/v1/facilities/{id}", h.getFacility},
		{http.MethodPut, "/v1/facilities/{id}", h.putFacility},
		{http.MethodGet, "/v1/facilities/{id}/events", h.getFeed},
		{http.MethodGet, "/v1/areas", h.listAreas},
		{http.MethodPost, "/v1/areas", h.postAreas},
	}
}

// Patterns are the patterns under which a mux must hand requests to the
// handler.
func Patterns() []string {
	return []string{"/v1/events", "/v1/events/", "/v1/ledgers/", "/v1/imports", "/v1/imports/", "/v1/facilities", "/v1/facilities/", "/v1/areas"}
}
