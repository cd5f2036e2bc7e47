package httpapi

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

func keyedHeader(key, media string) map[string]string {
	return map[string]string{"Idempotency-Key": key, "Content-Type": media}
}

const single, lines = "application/cloudevents+json", "application/x-ndjson"

func TestTheSameRequestUnderAKeyGetsTheSameAnswer(t *testing.T) {
	w := newWorld(t, Config{}, nil)
	w.plant()
	for media, body := range map[string]string{single: load("1", "7"), lines: load("2", "7") + "\n{}\n" + load("3", "7") + "\n"} {
		status, head, first := w.do(http.MethodPost, "/v1/events", keyedHeader("k "+media, media), strings.NewReader(body))
		require.Less(t, status, 300)
		require.Empty(t, head.Get("Idempotency-Replayed"))
		again, headAgain, second := w.do(http.MethodPost, "/v1/events", keyedHeader("k "+media, media), strings.NewReader(body))
		require.Equal(t, status, again)
		require.Equal(t, first, second, "recorded is said again, not already recorded")
		require.Equal(t, "true", headAgain.Get("Idempotency-Replayed"))
		require.Equal(t, head.Get("Location"), headAgain.Get("Location"))
		require.Equal(t, head.Get("Content-Type"), headAgain.Get("Content-Type"))
	}
	// Two imports of one file under one key are one job.
	header := map[string]string{"Idempotency-Key": "file"}
	_, head, _ := w.do(http.MethodPost, "/v1/imports?profile=wdi", header, strings.NewReader(wdiFile))
	_, again, _ := w.do(http.MethodPost, "/v1/imports?profile=wdi", header, strings.NewReader(wdiFile))
	require.NotEmpty(t, head.Get("Location"))
	require.Equal(t, head.Get("Location"), again.Get("Location"))
	require.Len(t, w.imports.List(), 1)
}

func TestErrAKeyIsBoundToItsRequest(t *testing.T) {
	w := newWorld(t, Config{}, nil)
	w.plant()
	status, _, _ := w.do(http.MethodPost, "/v1/events", keyedHeader("k", single), strings.NewReader(load("1", "7")))
	require.Equal(t, http.StatusCreated, status)
	for name, c := range map[string]struct {
		path, media, body string
	}{
		"another body":      {"/v1/events", single, load("2", "7")},
		"a longer body":     {"/v1/events", single, load("1", "7") + " "},
		"other parameters":  {"/v1/events?mode=atomic", single, load("1", "7")},
		"another type":      {"/v1/events", lines, load("1", "7")},
		"another route":     {"/v1/imports?profile=wdi", "text/csv", load("1", "7")},
		"no body by itself": {"/v1/events", single, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, body := w.do(http.MethodPost, c.path, keyedHeader("k", c.media), strings.NewReader(c.body))
			require.Equal(t, http.StatusUnprocessableEntity, status)
			require.Contains(t, body, RuleKeyReused)
		})
	}
	for _, bad := range []string{strings.Repeat("x", maxKeyBytes+1), "æ"} {
		status, _, body := w.do(http.MethodPost, "/v1/events", keyedHeader(bad, single), strings.NewReader(load("1", "7")))
		require.Equal(t, http.StatusUnprocessableEntity, status)
		require.Contains(t, body, RuleKeyMalformed)
	}
}

func TestARefusalIsNotKept(t *testing.T) {
	w := newWorld(t, Config{}, nil)
	status, _, _ := w.do(http.MethodPost, "/v1/events", keyedHeader("k", single), strings.NewReader(load("1", "7")))
	require.Equal(t, http.StatusUnprocessableEntity, status, "the facility is not registered")
	w.plant()
	status, _, _ = w.do(http.MethodPost, "/v1/events", keyedHeader("k", single), strings.NewReader(load("1", "8")))
	require.Equal(t, http.StatusCreated, status, "mended, under the same key")
}

// An answer over the limit leaves as it comes, whole; a repetition is answered
// by what is recorded.
func TestAnAnswerThatIsTooLargeIsNotKept(t *testing.T) {
	w := newWorld(t, Config{MaxKeptBytes: 300}, nil)
	w.plant()
	body := load("1", "7") + "\n" + load("2", "7") + "\n"
	_, _, first := w.do(http.MethodPost, "/v1/events", keyedHeader("k", lines), strings.NewReader(body))
	require.Equal(t, 2, strings.Count(first, `"status":"recorded"`), first)
	_, _, second := w.do(http.MethodPost, "/v1/events", keyedHeader("k", lines), strings.NewReader(body))
	require.Equal(t, 2, strings.Count(second, `"status":"already_recorded"`), second)
}

// held lets nothing be recorded until it is told.
type held struct {
	Intake
	entered, let chan struct{}
}

func (h held) Submit(ctx context.Context, items []intake.Item) []intake.Result {
	h.entered <- struct{}{}
	<-h.let
	return h.Intake.Submit(ctx, items)
}

func TestErrTwoRequestsUnderOneKeyAtOnce(t *testing.T) {
	h := held{entered: make(chan struct{}, 2), let: make(chan struct{})}
	w := newWorld(t, Config{}, func(d *Deps) { h.Intake, d.Intake = d.Intake, &h })
	w.plant()
	done := make(chan int, 1)
	go func() {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.server.URL+"/v1/events", strings.NewReader(load("1", "7")))
		if err != nil {
			done <- 0
			return
		}
		req.Header.Set("Content-Type", single)
		req.Header.Set("Idempotency-Key", "k")
		res, err := w.client.Do(req)
		if err != nil {
			done <- 0
			return
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		done <- res.StatusCode
	}()
	<-h.entered
	status, head, body := w.do(http.MethodPost, "/v1/events", keyedHeader("k", single), strings.NewReader(load("1", "7")))
	require.Equal(t, http.StatusConflict, status)
	require.Contains(t, body, "key-under-way")
	require.Equal(t, retryAfter, head.Get("Retry-After"))
	close(h.let)
	require.Equal(t, http.StatusCreated, <-done)
	status, _, _ = w.do(http.MethodPost, "/v1/events", keyedHeader("k", single), strings.NewReader(load("1", "7")))
	require.Equal(t, http.StatusCreated, status)
}

// switching is an intake that is away at first.
type switching struct{ Intake }

func TestAnAnswerThatSaysTryAgainIsNotKept(t *testing.T) {
	away := &switching{failing{err: fault.New(fault.Unavailable, "away")}}
	var there Intake
	w := newWorld(t, Config{}, func(d *Deps) { there, d.Intake = d.Intake, away })
	w.plant()
	status, _, _ := w.do(http.MethodPost, "/v1/events", keyedHeader("k", single), strings.NewReader(load("1", "7")))
	require.Equal(t, http.StatusServiceUnavailable, status)
	away.Intake = there
	status, _, _ = w.do(http.MethodPost, "/v1/events", keyedHeader("k", single), strings.NewReader(load("1", "7")))
	require.Equal(t, http.StatusCreated, status)
}
