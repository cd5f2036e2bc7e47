package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/analytics/export"
	"github.com/stofstrom/stofstrom/ops/config"
)

const (
	defaultServer = "http://127.0.0.1:8080"
	askTimeout    = 2 * time.Minute
	// maxAnswerBytes bounds what is read of an answer.
	maxAnswerBytes = 1 << 30
)

// serverFlag adds the option that says which server a command speaks to.
func serverFlag(cmd *cobra.Command) *string {
	fallback := os.Getenv(config.EnvPrefix + "SERVER")
	if fallback == "" {
		fallback = defaultServer
	}
	return cmd.Flags().String("server", fallback, "`address` of a running server (also STOFSTROM_SERVER)")
}

func flowsCommand(s streams) *cobra.Command {
	var query struct {
		measure, from, to string
		groupBy           []string
		format            string
		rows              int
	}
	cmd := &cobra.Command{
		Use:   "flows",
		Short: "Ask a running server how much flowed, by any dimensions",
		Example: `  stofstrom flows --group-by origin_area --facility-area Suffolk
  stofstrom flows --group-by year,hierarchy --operation-stage final --format csv`,
		Args: noArguments,
	}
	server := serverFlag(cmd)
	flags := cmd.Flags()
	flags.StringVar(&query.measure, "measure", "", "`measure` that is summed, for example received")
	flags.StringVar(&query.from, "from", "", "first `day` that counts: YYYY, YYYY-MM or YYYY-MM-DD")
	flags.StringVar(&query.to, "to", "", "`day` after the last that counts")
	flags.StringSliceVar(&query.groupBy, "group-by", nil, "`dimensions` of the rows, separated by commas")
	flags.StringVar(&query.format, "format", "table", "`form` of the answer: table, csv or json")
	flags.IntVar(&query.rows, "rows", 0, "most `rows` of a table; 0 for all")
	filters := map[analytics.Dimension]*[]string{}
	for _, d := range analytics.Dimensions() {
		filters[d] = flags.StringArray(strings.ReplaceAll(string(d), "_", "-"), nil, "only this `"+string(d)+"`; may be repeated")
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		values := url.Values{}
		set := func(key, value string) {
			if value != "" {
				values.Set(key, value)
			}
		}
		set("measure", query.measure)
		set("from", query.from)
		set("to", query.to)
		set("group_by", strings.Join(query.groupBy, ","))
		for d, chosen := range filters {
			for _, v := range *chosen {
				values.Add(string(d), v)
			}
		}
		switch query.format {
		case "csv", "json":
			values.Set("format", query.format)
		case "table":
			values.Set("format", "json")
		default:
			return usageError{fmt.Errorf("--format %q: one of table, csv, json is wanted", query.format)}
		}
		body, err := ask(cmd.Context(), *server, "/v1/flows?"+values.Encode())
		if err != nil {
			return err
		}
		if query.format != "table" {
			_, err := s.out.Write(body)
			return err
		}
		answer, err := export.ReadJSON(bytes.NewReader(body))
		if err != nil {
			return fmt.Errorf("reading the answer of %s: %w", *server, err)
		}
		return export.WriteTable(s.out, answer, query.rows)
	}
	return cmd
}

// ask gets a resource of a running server. A problem that the server answers
// becomes the error, in its words.
func ask(ctx context.Context, server, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := checkServer(server); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(server, "/")+path, nil)
	if err != nil {
		return nil, usageError{fmt.Errorf("--server %q: %w", server, err)}
	}
	return send(http.DefaultClient, req)
}

// checkServer says what is wrong with an address that no request can be sent
// to.
func checkServer(server string) error {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return usageError{fmt.Errorf("--server %q: an address such as %s is wanted", server, defaultServer)}
	}
	return nil
}

// send sends a request and returns the body of a good answer.
func send(client *http.Client, req *http.Request) ([]byte, error) {
	resp, err := client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, fmt.Errorf("no server answers at %s://%s (is `stofstrom serve` running?): %w", req.URL.Scheme, req.URL.Host, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", req.URL.Host, err)
	}
	if resp.StatusCode >= 300 {
		return nil, &refusedError{code: resp.StatusCode, err: problemOf(resp.Status, body)}
	}
	return body, nil
}

// refusedError is an answer that says no.
type refusedError struct {
	code int // HTTP status
	err  error
}

func (e *refusedError) Error() string { return e.err.Error() }

// Unwrap gives what the answer said.
func (e *refusedError) Unwrap() error { return e.err }

// problem is an RFC 9457 answer.
type problem struct {
	Title      string `json:"title"`
	Detail     string `json:"detail"`
	Violations []struct {
		Rule    string `json:"rule"`
		Field   string `json:"field"`
		Value   string `json:"value"`
		Message string `json:"message"`
		Line    int    `json:"line"`
	} `json:"violations"`
}

func problemOf(status string, body []byte) error {
	var p problem
	if err := json.Unmarshal(body, &p); err != nil || p.Title == "" && p.Detail == "" {
		return fmt.Errorf("the server answered %s: %.300s", status, body)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "the server answered %s: %s", status, p.Detail)
	if p.Detail == "" {
		b.WriteString(p.Title)
	}
	for _, v := range p.Violations {
		b.WriteString("\n  ")
		if v.Line > 0 {
			fmt.Fprintf(&b, "line %d: ", v.Line)
		}
		fmt.Fprintf(&b, "%s: %s (rule %s, value %q)", v.Field, v.Message, v.Rule, v.Value)
	}
	return errors.New(b.String())
}
