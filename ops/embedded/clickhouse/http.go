//go:build linux

package clickhouse

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// handler is ClickHouse's HTTP interface.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", s.serveStatement)
	mux.HandleFunc("GET /ping", s.servePing)
	mux.HandleFunc("GET /replicas_status", s.servePing)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-ClickHouse-Server-Display-Name", displayName)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if problem := s.foreign(r); problem != nil {
			writeException(w, problem)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// displayName is how this server calls itself.
const displayName = "stofstrom"

func (s *Server) servePing(w http.ResponseWriter, _ *http.Request) {
	if s.current.Load() == nil {
		writeException(w, errNoEngine())
		return
	}
	_, _ = io.WriteString(w, "Ok.\n") // a client that is gone needs no answer
}

func errNoEngine() *Exception {
	return exceptionf(codeNetwork, "The ClickHouse engine is not running at this moment; it is being started again, retry in a second")
}

// statement is one request, understood.
type statement struct {
	role     role
	params   url.Values
	id       string // query id, the client's or ours
	text     string // SQL; without the rows when insert is set
	insert   *insert
	inline   string    // rows that stood in the text itself
	body     io.Reader // rows that follow in the body
	database string
	readOnly bool              // a GET may not change anything
	made     map[string]string // settings a research query makes, checked
}

func (s *Server) serveStatement(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD, POST")
		writeException(w, exceptionf(codeNotImplemented, "Method %s is not supported", r.Method))
		return
	}
	params := r.URL.Query()
	who, problem := s.authenticate(r, params)
	if problem != nil {
		writeException(w, problem)
		return
	}
	started := time.Now()
	s.metrics.running.WithLabelValues(string(who)).Inc()
	defer s.metrics.running.WithLabelValues(string(who)).Dec()
	answer := newAnswer(w, r, params, s.folder("spool"))
	defer answer.discard()
	outcome := s.answerStatement(r, who, params, answer)
	s.metrics.requests.WithLabelValues(string(who), outcome).Inc()
	s.metrics.seconds.WithLabelValues(string(who)).Observe(time.Since(started).Seconds())
}

// answerStatement runs the request's statement and returns the outcome's name.
func (s *Server) answerStatement(r *http.Request, who role, params url.Values, answer *answer) string {
	st, problem := s.understand(r, who, params)
	if problem == nil {
		answer.queryID = st.id
		problem = s.execute(r.Context(), st, answer)
	}
	outcome := "ok"
	switch {
	case problem == nil:
		return outcome
	case r.Context().Err() != nil:
		// Told nevertheless: a client that has only closed its sending half
		// must not take an empty 200 for success.
		outcome = "cancelled"
	case problem.Code == codeNetwork:
		outcome = "unavailable"
	case problem.Code == codeAccessDenied:
		outcome = "refused"
	default:
		outcome = "error"
	}
	if err := answer.fail(problem); err != nil {
		s.log.Debug("clickhouse exception not delivered", slog.Any("error", err))
	}
	return outcome
}

// understand reads a request as far as its statement; rows stay in the body.
func (s *Server) understand(r *http.Request, who role, params url.Values) (*statement, *Exception) {
	if params.Has("session_id") {
		return nil, exceptionf(codeNotImplemented, "session_id: HTTP sessions are not supported by the embedded engine; each request is a session of its own")
	}
	if kind := r.Header.Get("Content-Type"); strings.HasPrefix(kind, "multipart/form-data") {
		return nil, exceptionf(codeNotImplemented, "multipart/form-data: external tables are not supported by the embedded engine")
	}
	st := &statement{
		role: who, params: params, id: params.Get("query_id"), readOnly: r.Method != http.MethodPost,
		database: s.database(r, params, who),
	}
	if st.id == "" {
		st.id = uuid.NewString()
	}
	body, problem := s.body(r, params)
	if problem != nil {
		return nil, problem
	}
	text, problem := s.text(params.Get("query"), body)
	if problem != nil {
		return nil, problem
	}
	if found, ok := parseInsert(text); ok {
		st.insert, st.inline, st.body = &found, text[found.Data:], body
		st.text = text[:found.Data]
		return st, nil
	}
	rest, err := readStatement(body, s.cfg.Limits.StatementBytes-int64(len(text)))
	if err != nil {
		return nil, problemOf(err)
	}
	st.text = text + rest
	switch {
	case strings.TrimSpace(st.text) == "":
		return nil, exceptionf(62, "Empty query")
	case !utf8.ValidString(st.text):
		return nil, exceptionf(codeIncorrectData, "The statement is not valid UTF-8; write other bytes with unhex()")
	case several(st.text):
		return nil, &Exception{Code: 62, Name: "SYNTAX_ERROR", Message: "Multi-statements are not allowed"}
	}
	return st, nil
}

func (s *Server) database(r *http.Request, params url.Values, who role) string {
	if name := params.Get("database"); name != "" {
		return name
	}
	if name := r.Header.Get("X-Clickhouse-Database"); name != "" {
		return name
	}
	return s.defaultDatabase(who)
}

// body returns the request's body, decompressed and bounded.
func (s *Server) body(r *http.Request, params url.Values) (*bufio.Reader, *Exception) {
	plain, err := decodeBody(r.Body, r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, exceptionf(codeCannotDecompress, "Content-Encoding: %v", err)
	}
	if enabled(params.Get("decompress")) {
		plain = newBlockReader(plain)
	}
	return bufio.NewReaderSize(&boundedReader{r: plain, left: s.cfg.Limits.BodyBytes, limit: s.cfg.Limits.BodyBytes}, 64<<10), nil
}

// text returns the statement's text as far as it can be told from rows: the URL
// parameter query, and when that is no complete INSERT the beginning of the body.
func (s *Server) text(query string, body *bufio.Reader) (string, *Exception) {
	if int64(len(query)) > s.cfg.Limits.StatementBytes {
		return "", exceptionf(codeBadArguments, "query: %d bytes, at most %d allowed", len(query), s.cfg.Limits.StatementBytes)
	}
	if query != "" {
		if _, err := body.Peek(1); errors.Is(err, io.EOF) {
			return query, nil
		} else if err != nil {
			return "", problemOf(err)
		}
		if firstWord(query) == "INSERT" {
			return query + "\n", nil
		}
		query += "\n"
	}
	head, err := body.Peek(64 << 10)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", problemOf(err)
	}
	// Only an INSERT is cut: its rows may be long and binary. Its head, up to
	// FORMAT or VALUES, must fit into the first 64 KiB.
	if firstWord(query+string(head)) == "INSERT" {
		if _, err := body.Discard(len(head)); err != nil {
			return "", problemOf(err)
		}
		return query + string(head), nil
	}
	return query, nil
}

// readStatement reads the rest of a statement's text.
func readStatement(body io.Reader, limit int64) (string, error) {
	rest, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return "", err
	}
	if int64(len(rest)) > limit {
		return "", exceptionf(codeBadArguments, "query: longer than %d bytes allowed for a statement", limit)
	}
	return string(rest), nil
}

// problemOf turns an error met while reading a body into an exception.
func problemOf(err error) *Exception {
	if problem := new(Exception); errors.As(err, &problem) {
		return problem
	}
	if errors.Is(err, syscall.ENOSPC) {
		return exceptionf(codeNotEnoughSpace, "No room on the disk for the rows of this INSERT: %v", err)
	}
	return exceptionf(codeIncorrectData, "Cannot read the request's body: %v", err)
}

func enabled(value string) bool { return value == "1" || strings.EqualFold(value, "true") }

// boundedReader fails, rather than ends, at its limit: rows cut off silently
// would be rows lost.
type boundedReader struct {
	r           io.Reader
	left, limit int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left < int64(len(p)) {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, exceptionf(codeBadArguments, "Request body: longer than %d bytes after decompression", b.limit)
	}
	return n, err
}
