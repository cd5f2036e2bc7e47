// Package httpapi asks the questions of package analytics over HTTP.
//
// It promises that every answer names its position, that a refusal is a
// problem document (RFC 9457) that names field, rule, value and what is
// allowed, that slow askers are cut off, and that nothing an asker sends is
// given back as anything but JSON text. What it serves is written down in
// openapi.yaml, whose examples its tests execute. It leaves out who may ask
// (the caller wraps the handler) and the listening.
package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed" // the contract is part of the program
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/analytics/export"
	"github.com/stofstrom/stofstrom/domain/fault"
)

//go:embed openapi.yaml
var contract []byte

// OpenAPI is the contract of this package, OpenAPI 3.1 in YAML. The slice is
// the caller's own.
func OpenAPI() []byte { return slices.Clone(contract) }

// Config sets the limits of asking over HTTP.
type Config struct {
	WriteTimeout  time.Duration // for an asker to take the answer
	MaxQueryBytes int           // length of the part of the URL after the question mark
	// Version is the program's own. Answers of one version and position are
	// the same bytes, which entity tags rely on.
	Version string
}

// DefaultConfig is what serve uses when nothing is set.
func DefaultConfig() Config {
	return Config{WriteTimeout: 30 * time.Second, MaxQueryBytes: 64 << 10, Version: "unknown"}
}

// Asker answers questions: *analytics.Service.
type Asker interface {
	Now(ctx context.Context) (analytics.Moment, error)
	FlowsAt(ctx context.Context, q analytics.FlowQuery, m analytics.Moment) (analytics.FlowAnswer, error)
	BalancesAt(ctx context.Context, q analytics.BalanceQuery, m analytics.Moment) (analytics.BalanceAnswer, error)
}

// Deps are what the handler works with.
type Deps struct {
	Asker    Asker
	Registry prometheus.Registerer
	Logger   *slog.Logger
}

// Handler serves the questions. It is safe for concurrent use.
type Handler struct {
	config  Config
	deps    Deps
	metrics *metrics
	mux     *http.ServeMux
}

// Routes lists what the handler serves, as patterns of net/http.
func Routes() []string { return []string{"GET /v1/balances", "GET /v1/flows"} }

// New makes a Handler. Errors: limits that are not positive, a missing
// dependency, metrics that are registered already.
func New(config Config, deps Deps) (*Handler, error) {
	if config.WriteTimeout <= 0 || config.MaxQueryBytes <= 0 {
		return nil, fmt.Errorf("analytics over HTTP: limits must be positive, got %+v", config)
	}
	if deps.Asker == nil || deps.Registry == nil || deps.Logger == nil {
		return nil, errors.New("analytics over HTTP: asker, registry or logger missing")
	}
	m, err := newMetrics(deps.Registry)
	if err != nil {
		return nil, fmt.Errorf("analytics over HTTP: %w", err)
	}
	h := &Handler{config: config, deps: deps, metrics: m, mux: http.NewServeMux()}
	for name, parse := range map[string]parser{"flows": h.flows, "balances": h.balances} {
		h.mux.Handle("GET /v1/"+name, h.question(name, parse))
		h.mux.HandleFunc("/v1/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", "GET, HEAD")
			h.problem(w, r, http.StatusMethodNotAllowed, fault.New(fault.Invalid, "a question is asked with GET"))
		})
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.problem(w, r, http.StatusNotFound, fault.New(fault.NotFound, "there is no such question"))
	})
	return h, nil
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-cache") // may be kept, must be asked again: the position moves
	h.mux.ServeHTTP(w, r)
}

// parser reads a question, and gives what answers it at a moment.
type parser func(url.Values) (answerer, error)

type answerer func(context.Context, analytics.Moment) (answered, error)

// answered is an answer that is ready to be written.
type answered struct {
	rows    int
	headers map[string]string
	write   map[string]func(io.Writer) error // by the name of the form
}

// question wraps the answering of one question with its limits and metrics.
func (h *Handler) question(name string, parse parser) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rows, err := h.answer(w, r, name, parse)
		outcome := "answered"
		if err != nil {
			kind := fault.KindOf(err)
			outcome = strings.ReplaceAll(kind.String(), " ", "_")
			h.problem(w, r, statusOf(kind), err)
		} else {
			h.metrics.rows.WithLabelValues(name).Observe(float64(rows))
		}
		h.metrics.questions.WithLabelValues(name, outcome).Inc()
		h.metrics.seconds.WithLabelValues(name).Observe(time.Since(began).Seconds())
	})
}

// flows reads the flow question.
func (h *Handler) flows(values url.Values) (answerer, error) {
	q, err := analytics.ParseFlowQuery(values)
	return func(ctx context.Context, m analytics.Moment) (answered, error) {
		a, err := h.deps.Asker.FlowsAt(ctx, q, m)
		return answered{
			rows: len(a.Rows), headers: map[string]string{"Stofstrom-Measure": string(a.Measure), "Stofstrom-Rules": strings.Join(a.Rules, ", ")},
			write: map[string]func(io.Writer) error{
				"json": func(w io.Writer) error { return export.WriteJSON(w, a) },
				"csv":  func(w io.Writer) error { return export.WriteCSV(w, a) },
			},
		}, err
	}, err
}

// balances reads the balance question.
func (h *Handler) balances(values url.Values) (answerer, error) {
	q, err := analytics.ParseBalanceQuery(values)
	return func(ctx context.Context, m analytics.Moment) (answered, error) {
		a, err := h.deps.Asker.BalancesAt(ctx, q, m)
		headers := map[string]string{
			"Stofstrom-Rules": strings.Join(a.Rules, ", "), "Stofstrom-Gross-Error": strconv.FormatBool(a.Test.GrossError),
			"Stofstrom-Left-Out": strconv.Itoa(len(a.LeftOut)),
		}
		return answered{rows: len(a.Balances), headers: headers, write: map[string]func(io.Writer) error{
			"json": func(w io.Writer) error { return export.WriteBalancesJSON(w, a) },
			"csv":  func(w io.Writer) error { return export.WriteBalancesCSV(w, a) },
		}}, err
	}, err
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request, name string, parse parser) (rows int, err error) {
	if len(r.URL.RawQuery) > h.config.MaxQueryBytes {
		return 0, fault.New(fault.TooLarge, "the question is longer than %d bytes", h.config.MaxQueryBytes)
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return 0, fault.Wrap(fault.Malformed, err, "the part of the URL after the question mark cannot be read")
	}
	form, err := chooseForm(r.Header.Values("Accept"), values)
	if err != nil {
		return 0, err
	}
	values.Del("format")
	ask, err := parse(values)
	if err != nil {
		return 0, err
	}
	moment, err := h.deps.Asker.Now(r.Context())
	if err != nil {
		return 0, err
	}
	header := w.Header()
	tag := h.tag(moment.Position, name+" "+form.name, values)
	header.Set("Vary", "Accept")
	header.Set("ETag", tag)
	header.Set("Stofstrom-Position", strconv.FormatUint(moment.Position, 10))
	if matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return 0, nil
	}
	answer, err := ask(r.Context(), moment)
	if err != nil {
		header.Del("ETag")
		return 0, err
	}
	header.Set("Content-Type", form.mediaType)
	for key, value := range answer.headers {
		header.Set(key, value)
	}
	if form.name == "csv" {
		header.Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
	}
	return answer.rows, h.send(w, r, answer.write[form.name])
}

// send writes an answer within the time an asker has. Once it has begun,
// nothing can be refused any more: a failure is logged and the connection cut.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, write func(io.Writer) error) error {
	var body bytes.Buffer // at most analytics.Config.MaxRows rows: encoded whole, so that a fault is a problem and not half an answer
	if err := write(&body); err != nil {
		return fault.Wrap(fault.Internal, err, "the answer cannot be written")
	}
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	deadline := time.Now().Add(h.config.WriteTimeout)
	if err := http.NewResponseController(w).SetWriteDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		h.deps.Logger.WarnContext(r.Context(), "answer has no write deadline", slog.Any("error", err))
	}
	w.WriteHeader(http.StatusOK)
	if _, err := body.WriteTo(w); err != nil {
		h.deps.Logger.DebugContext(r.Context(), "asker did not take the answer", slog.Any("error", err))
	}
	return nil
}

// tag names the bytes of an answer: same position, question, form and program,
// same bytes.
func (h *Handler) tag(position uint64, form string, values url.Values) string {
	sum := sha256.Sum256([]byte(h.config.Version + "\x00" + form + "\x00" + values.Encode()))
	return fmt.Sprintf("\"%d-%s\"", position, hex.EncodeToString(sum[:8]))
}

func matches(headers []string, tag string) bool {
	for _, header := range headers {
		for _, candidate := range strings.Split(header, ",") {
			candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
			if candidate == tag || candidate == "*" {
				return true
			}
		}
	}
	return false
}

// form is a way to write an answer.
type form struct {
	name, mediaType string
}

func forms() []form {
	return []form{
		{"json", "application/json"},
		{"csv", "text/csv; charset=utf-8; header=present"},
	}
}
