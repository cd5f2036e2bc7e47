package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	asking "github.com/stofstrom/stofstrom/analytics/httpapi"
	reports "github.com/stofstrom/stofstrom/ingest/httpapi"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/ops/telemetry"
	tables "github.com/stofstrom/stofstrom/projections/clickhouse"
)

// Limits of the listener itself; the handlers have their own.
const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
)

// route is what one part serves.
type route struct {
	patterns []string
	handler  http.Handler
	contract []byte // OpenAPI of the part; nil for none
}

// questions is the route of the answers.
func (f *foundation) questions(db *tables.DB) (route, error) {
	service, err := analytics.New(analytics.DefaultConfig(), analytics.Deps{Conn: db.Conn()})
	if err != nil {
		return route{}, err
	}
	conf := asking.DefaultConfig()
	conf.Version = Version
	handler, err := asking.New(conf, asking.Deps{
		Asker: service, Registry: f.registry, Logger: f.deps.Logger.With("part", "questions"),
	})
	if err != nil {
		return route{}, err
	}
	return route{patterns: []string{"/v1/balances", "/v1/flows"}, handler: handler, contract: asking.OpenAPI()}, nil
}

// listening is the stage that listens, first of all and to the last, so that
// a port that is taken is known before anything is started, and health can be
// asked while the program starts. What it serves comes with openGate.
func (f *foundation) listening(api *string, g *gate, readiness func() []telemetry.Readiness) stage {
	return stage{name: "http", start: func(ctx context.Context) (running, error) {
		listener, err := listen(ctx, "listen", f.cfg.Listen)
		if err != nil {
			return running{}, err
		}
		*api = "http://" + listener.Addr().String()
		g.health = telemetry.Handler(f.registry, f.deps.Logger, readiness)
		server := &http.Server{
			Handler:           g,
			ReadHeaderTimeout: headerTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
		}
		return running{run: func(ctx context.Context) error {
			failed := make(chan error, 1)
			go func() { failed <- server.Serve(listener) }()
			select {
			case err := <-failed:
				return fmt.Errorf("serving %s: %w", listener.Addr(), err)
			case <-ctx.Done():
			}
			// The gate has let every request end that could: nothing is lost.
			err := server.Close()
			if served := <-failed; !errors.Is(served, http.ErrServerClosed) {
				err = errors.Join(err, served)
			}
			return err
		}}, nil
	}}
}

// openGate is the stage that lets requests through to the routes, made when
// everything before it is ready, and lets them end when it is stopped.
func (f *foundation) openGate(g *gate, routes func() ([]route, error)) stage {
	return stage{name: "api", start: func(context.Context) (running, error) {
		all, err := routes()
		if err != nil {
			return running{}, err
		}
		mux, err := f.mux(all)
		if err != nil {
			return running{}, err
		}
		g.open(mux)
		return running{run: func(ctx context.Context) error {
			<-ctx.Done()
			drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.cfg.ShutdownTimeout/2)
			defer cancel()
			if err := g.close(drain); err != nil {
				f.deps.Logger.Warn("requests were cut off", "after", f.cfg.ShutdownTimeout/2)
			}
			return nil
		}}, nil
	}}
}

func (f *foundation) mux(routes []route) (http.Handler, error) {
	mux := http.NewServeMux()
	var contracts [][]byte
	for _, r := range routes {
		for _, pattern := range r.patterns {
			mux.Handle(pattern, r.handler)
		}
		if r.contract != nil {
			contracts = append(contracts, r.contract)
		}
	}
	contract, err := mergeContracts(contracts...)
	if err != nil {
		return nil, err
	}
	mux.HandleFunc("GET /v1/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if _, err := w.Write(contract); err != nil {
			f.deps.Logger.Debug("contract not delivered", "error", err)
		}
	})
	mux.HandleFunc("/v1/openapi.yaml", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "GET, HEAD")
		f.problem(w, reports.Problem{Type: reports.ProblemPrefix + "method", Title: "The method is not taken", Status: http.StatusMethodNotAllowed,
			Detail: fmt.Sprintf("%s takes GET, HEAD", r.URL.Path)})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		f.problem(w, reports.Problem{Type: reports.ProblemPrefix + "not-found", Title: "There is no such thing", Status: http.StatusNotFound,
			Detail: fmt.Sprintf("there is nothing at %q; what there is stands in /v1/openapi.yaml", fault.Clip(r.URL.Path))})
	})
	return mux, nil
}

// problem answers what belongs to no part.
func (f *foundation) problem(w http.ResponseWriter, p reports.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	if err := json.MarshalWrite(w, p); err != nil {
		f.deps.Logger.Debug("problem not delivered", "error", err)
	}
}
