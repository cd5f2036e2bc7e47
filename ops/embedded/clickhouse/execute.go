//go:build linux

package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/internal/wire"
)

// execute runs a statement and writes its result to answer. It returns the
// exception that is still to be told to the client.
func (s *Server) execute(ctx context.Context, st *statement, answer *answer) *Exception {
	release, problem := s.waitTurn(ctx, st.role)
	if problem != nil {
		return problem
	}
	defer release()
	if st.insert != nil {
		return s.executeInsert(ctx, st, answer)
	}
	if isHello(st) {
		return s.answerHello(ctx, st, answer)
	}
	text := st.text
	if st.role == roleResearcher {
		if text, problem = s.judge(ctx, st); problem != nil {
			s.metrics.refused.Inc()
			return problem
		}
	}
	request, problem := s.request(st, text)
	if problem != nil {
		return problem
	}
	format := request.Format
	if named := outputFormat(text); named != "" {
		format = named
	}
	answer.format = format
	switch {
	case streamable(format):
		request.Stream = true
		return s.roundTrip(ctx, request, st, answer, 0)
	case isSelect(text):
		return s.throughFile(ctx, request, st, answer)
	default:
		return s.roundTrip(ctx, request, st, answer, s.cfg.Limits.MaterializedBytes)
	}
}

// throughFile runs a SELECT whose format has a beginning and an end (JSON,
// Parquet, CSVWithNames): the engine writes it to the spool row by row, and from
// there it goes to the client, so that it never stands in memory as a whole.
func (s *Server) throughFile(ctx context.Context, request wire.Request, st *statement, answer *answer) *Exception {
	path := filepath.Join(s.folder("spool"), "result-"+request.Tag)
	request.SQL = intoFile(request.SQL, path, request.Format)
	request.Format = "Null"
	defer func() {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("clickhouse spool file stays behind", slog.Any("error", err))
		}
	}()
	ctx, cancel := s.deadline(ctx, st.role)
	defer cancel()
	if err := s.call(ctx, request, func([]byte) error { return nil }, &answer.summary); err != nil {
		return s.exception(err, st)
	}
	file, err := os.Open(path) //nolint:gosec // our own name in our own folder
	if err != nil {
		return exceptionf(codeIncorrectData, "Cannot read the result back: %v", err)
	}
	defer func() { _ = file.Close() }() // only read
	_, err = io.Copy(writerFunc(answer.write), file)
	if err == nil {
		err = answer.finish()
	}
	if err != nil {
		return s.exception(err, st)
	}
	return nil
}

type writerFunc func([]byte) error

func (f writerFunc) Write(p []byte) (int, error) {
	if err := f(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// deadline bounds a statement a little beyond the time limit that the engine
// itself keeps, for statements that do not look at the clock.
func (s *Server) deadline(ctx context.Context, who role) (context.Context, context.CancelFunc) {
	limit := s.cfg.Limits.AdminQueryTime
	if who == roleResearcher {
		limit = s.cfg.Limits.ResearcherQueryTime
	}
	return context.WithTimeoutCause(ctx, limit+10*time.Second, exceptionf(codeTimeout, "Timeout exceeded: the statement ran longer than %v and was cancelled", limit))
}

// waitTurn waits until the role may run one more statement.
func (s *Server) waitTurn(ctx context.Context, who role) (release func(), _ *Exception) {
	slots := s.adminSlots
	if who == roleResearcher {
		slots = s.researcher
	}
	timer := time.NewTimer(s.cfg.Limits.QueueTime)
	defer timer.Stop()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-timer.C:
		return nil, exceptionf(codeTooManyQueries, "Too many simultaneous queries for this account: %d run, and none ended within %v", cap(slots), s.cfg.Limits.QueueTime)
	case <-ctx.Done():
		return nil, exceptionf(codeNetwork, "Request cancelled while it waited for its turn")
	}
}

// executeInsert spools the rows and lets the engine read them from the file, so
// that a body that breaks off inserts nothing and binary rows arrive untouched.
func (s *Server) executeInsert(ctx context.Context, st *statement, answer *answer) *Exception {
	if st.role == roleResearcher {
		s.metrics.refused.Inc()
		return exceptionf(codeAccessDenied, "%s: Not enough privileges. This account reads only", s.cfg.ResearcherUser)
	}
	if st.readOnly {
		return exceptionf(codeReadonly, "Cannot execute query in readonly mode: use POST to change anything")
	}
	file, err := os.CreateTemp(s.folder("spool"), "insert-*")
	if err != nil {
		return exceptionf(codeIncorrectData, "Cannot spool the rows: %v", err)
	}
	defer func() {
		if err := errors.Join(ignoreClosed(file.Close()), os.Remove(file.Name())); err != nil {
			s.log.Warn("clickhouse spool file stays behind", slog.Any("error", err))
		}
	}()
	n, err := io.Copy(file, io.MultiReader(strings.NewReader(st.inline), st.body))
	s.metrics.bodies.Add(float64(n))
	if err != nil {
		return problemOf(err)
	}
	if err := file.Close(); err != nil {
		return exceptionf(codeIncorrectData, "Cannot spool the rows: %v", err)
	}
	request, problem := s.request(st, st.insert.fromFile(file.Name()))
	if problem != nil {
		return problem
	}
	return s.roundTrip(ctx, request, st, answer, s.cfg.Limits.MaterializedBytes)
}

// request describes the statement to the engine.
func (s *Server) request(st *statement, sql string) (wire.Request, *Exception) {
	prelude, problem := s.prelude(st)
	if problem != nil {
		return wire.Request{}, problem
	}
	request := wire.Request{
		Tag: uuid.NewString(), Prelude: prelude, SQL: sql, Format: "TabSeparated", Params: queryParams(st.params),
	}
	if format := st.params.Get("default_format"); format != "" {
		request.Format = format
	}
	return request, nil
}

// queryParams returns the values for a statement's {name:Type} placeholders.
func queryParams(params url.Values) map[string]string {
	bound := map[string]string{}
	for name, values := range params {
		if param, ok := strings.CutPrefix(name, "param_"); ok && len(values) > 0 {
			bound[param] = values[len(values)-1]
		}
	}
	return bound
}

// roundTrip sends the request to the child and copies its answer. limit bounds
// the result in bytes, 0 means no bound.
func (s *Server) roundTrip(ctx context.Context, request wire.Request, st *statement, answer *answer, limit int64) *Exception {
	ctx, cancel := s.deadline(ctx, st.role)
	defer cancel()
	err := s.call(ctx, request, func(p []byte) error {
		if limit > 0 && answer.size+int64(len(p)) > limit {
			return exceptionf(codeResultTooLarge, "Limit for result in format %s exceeded: %d bytes; use a format that can be streamed, such as JSONEachRow, CSV or Native", answer.format, limit)
		}
		return answer.write(p)
	}, &answer.summary)
	if err == nil {
		err = answer.finish()
	}
	if err == nil {
		return nil
	}
	return s.exception(err, st)
}

// exception turns a failed call into what the client is told.
func (s *Server) exception(err error, st *statement) *Exception {
	if refusal := new(wire.EngineError); errors.As(err, &refusal) {
		return fromEngine(refusal)
	}
	if problem := new(Exception); errors.As(err, &problem) {
		return problem
	}
	if errors.Is(err, wire.ErrCut) {
		if st.insert != nil {
			return exceptionf(codeNetwork, "The engine stopped while this INSERT ran; whether its rows are stored is unknown")
		}
		return exceptionf(codeNetwork, "The engine stopped while this statement ran; whether it took effect is unknown")
	}
	return exceptionf(codeNetwork, "Cannot reach the ClickHouse engine: %v", err)
}

// call runs one request in the engine child and hands its result to emit.
func (s *Server) call(ctx context.Context, request wire.Request, emit func([]byte) error, summary *wire.Summary) error {
	c := s.current.Load()
	if c == nil {
		return errNoEngine()
	}
	return c.call(ctx, request, emit, summary)
}

// call runs one request in this child.
func (c *child) call(ctx context.Context, request wire.Request, emit func([]byte) error, summary *wire.Summary) error {
	payload, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("describe statement: %w", err)
	}
	// Leaving early cancels the statement in the engine.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine"+wire.PathQuery, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	response, err := c.client.Do(r)
	if err != nil {
		return because(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
		return errors.Join(fmt.Errorf("engine child: %s", strings.TrimSpace(string(text))), err)
	}
	frames := wire.Reader{R: response.Body}
	for {
		p, err := frames.Next()
		switch {
		case errors.Is(err, io.EOF) && !errors.Is(err, wire.ErrCut):
			*summary = frames.Summary
			return nil
		case err != nil:
			return because(ctx, err)
		}
		if err := emit(p); err != nil {
			return err
		}
	}
}

// because returns why ctx ended, if it did, rather than what broke when it did.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return errors.Join(cause, err)
	}
	return err
}

// notSettings are URL parameters of the interface itself.
var notSettings = []string{
	"query", "database", "default_format", "query_id", "user", "password", "compress", "decompress",
	"wait_end_of_query", "buffer_size", "session_timeout", "session_check", "client_protocol_version", "quota_key",
	"enable_http_compression", "http_zlib_compression_level", "network_compression_method",
	"network_zstd_compression_level", "stacktrace", "add_http_cors_header", "send_progress_in_http_headers",
	"http_headers_progress_interval_ms", "http_write_exception_in_output_format", "cancel_http_readonly_queries_on_client_close",
	// An answered INSERT is stored: the engine's queue of unwritten rows is off.
	"async_insert", "wait_for_async_insert", "log_comment",
}

// prelude returns the statements that set a session up.
func (s *Server) prelude(st *statement) ([]string, *Exception) {
	if st.role == roleResearcher {
		return s.researchPrelude(st)
	}
	limit := s.cfg.Limits.AdminQueryTime.Seconds()
	settings := []string{"async_insert = 0"}
	for _, name := range settingNames(st) {
		value := st.params.Get(name)
		if !plainName(strings.ReplaceAll(name, ".", "_")) {
			return nil, exceptionf(115, "Unknown setting '%s'", name)
		}
		if name == "max_execution_time" {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil || seconds < 0 {
				return nil, exceptionf(codeBadArguments, "max_execution_time: %q is no number of seconds", value)
			}
			if seconds > 0 {
				limit = min(limit, seconds)
			}
			continue
		}
		settings = append(settings, name+" = "+quote(value))
	}
	settings = append(settings, "max_execution_time = "+strconv.FormatFloat(limit, 'f', 3, 64))
	prelude := []string{"SET " + strings.Join(settings, ", "), "USE " + identifier(st.database)}
	if st.readOnly {
		prelude = append(prelude, "SET readonly = 2")
	}
	return prelude, nil
}

// settingNames lists the URL parameters that are engine settings, in order.
func settingNames(st *statement) []string {
	var names []string
	for name := range st.params {
		if !slices.Contains(notSettings, name) && !strings.HasPrefix(name, "param_") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// chunkFormats are the formats whose chunks can be put one behind the other.
var chunkFormats = []string{
	"Native", "JSONEachRow", "JSONLines", "NDJSON", "JSONCompactEachRow", "JSONStringsEachRow", "JSONCompactStringsEachRow",
	"TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "Raw", "CSV", "RowBinary", "TSKV", "LineAsString", "RawBLOB", "MsgPack", "Null",
}

func streamable(format string) bool { return slices.Contains(chunkFormats, format) }
