package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/analytics/export"
	"github.com/stofstrom/stofstrom/ingest/imports"
	"github.com/stofstrom/stofstrom/ops/sample"
)

const (
	// sampleRows is how much of the sample's tables is printed at the start.
	sampleRows    = 12
	samplePause   = 100 * time.Millisecond
	sampleProfile = "wdi"
)

// importSample sends the bundled file over HTTP, as anybody would, unless it
// was sent before, and prints who sent how much to whom.
func (f *foundation) importSample(ctx context.Context, p *program) error {
	file := sample.WDI()
	sum := sha256.Sum256(file)
	done, err := f.sampleDone(ctx, p, hex.EncodeToString(sum[:]))
	if err != nil {
		return fmt.Errorf("looking for the sample: %w", err)
	}
	if !done {
		if err := f.sendSample(ctx, p, file); err != nil {
			return fmt.Errorf("importing the sample: %w", err)
		}
	}
	end, err := p.client.End(ctx)
	if err != nil {
		return fmt.Errorf("waiting for the tables: %w", err)
	}
	if err := p.runner.WaitFor(ctx, end); err != nil {
		return fmt.Errorf("waiting for the tables: %w", err)
	}
	return f.printSample(ctx, p)
}

func (f *foundation) sampleDone(ctx context.Context, p *program, sum string) (bool, error) {
	body, err := f.request(ctx, http.MethodGet, p.api+"/v1/imports", nil)
	if err != nil {
		return false, err
	}
	var list struct {
		Imports []imports.Job `json:"imports"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return false, fmt.Errorf("reading the list of imports: %w", err)
	}
	for _, job := range list.Imports {
		if job.SHA256 == sum && job.Profile == sampleProfile && len(job.Parameters) == 0 &&
			job.Status == imports.Done && job.Needs == imports.NeedsNothing {
			return true, nil
		}
	}
	return false, nil
}

func (f *foundation) sendSample(ctx context.Context, p *program, file []byte) error {
	fmt.Fprintf(f.deps.Out, "importing %s\n", sample.WDIName)
	query := url.Values{"profile": {sampleProfile}, "file": {sample.WDIName}}
	body, err := f.request(ctx, http.MethodPost, p.api+"/v1/imports?"+query.Encode(), file)
	if err != nil {
		return err
	}
	again := time.NewTicker(samplePause)
	defer again.Stop()
	for {
		var job imports.Job
		if err := json.Unmarshal(body, &job); err != nil {
			return fmt.Errorf("reading the job: %w", err)
		}
		switch job.Status {
		case imports.Done:
			fmt.Fprintf(f.deps.Out, "%d lines: %d recorded, %d already recorded, %d rejected\n", job.Rows,
				job.Counts[string(imports.LineRecorded)], job.Counts[string(imports.LineAlreadyRecorded)], job.Counts[string(imports.LineRejected)])
			return nil
		case imports.Failed:
			return fmt.Errorf("the job %s failed: %s", job.ID, job.Error.Detail)
		case imports.Queued, imports.Running:
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if body, err = f.request(ctx, http.MethodGet, p.api+"/v1/imports/"+job.ID, nil); err != nil {
			return err
		}
	}
}

func (f *foundation) printSample(ctx context.Context, p *program) error {
	body, err := f.request(ctx, http.MethodGet, p.api+"/v1/flows?group_by=origin_area,facility_area", nil)
	if err != nil {
		return fmt.Errorf("asking for flows: %w", err)
	}
	answer, err := export.ReadJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking for flows: %w", err)
	}
	balances, err := analytics.Netflow(answer)
	if err != nil {
		return err
	}
	fmt.Fprintf(f.deps.Out, "\nFlows between planning areas, %s\n\n", sample.WDITitle)
	if err := export.WriteTable(f.deps.Out, answer, sampleRows); err != nil {
		return err
	}
	fmt.Fprintf(f.deps.Out, "\nNet inflow of planning areas\n\n")
	if err := export.WriteNetflow(f.deps.Out, balances, sampleRows); err != nil {
		return err
	}
	_, err = fmt.Fprintf(f.deps.Out, "\n%s\n", sample.WDIAttribution)
	return err
}

// request sends a request to the program itself and returns the body of a
// good answer.
func (f *foundation) request(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "text/csv")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		return nil, fmt.Errorf("%s %s: %s: %.300s", method, req.URL.Path, resp.Status, answer)
	}
	return answer, nil
}
