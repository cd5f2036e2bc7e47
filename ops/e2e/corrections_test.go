package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	plantID  = "dk-p-1003412345"
	oneEvent = "application/cloudevents+json"
	manyLine = "application/x-ndjson"
	asJSON   = "application/json"
)

// plant registers the facility that the events are about.
func (s *server) plant() {
	s.t.Helper()
	code, body := s.do(http.MethodPut, "/v1/facilities/"+plantID, asJSON, []byte(`{"name":"Amager","area":"dk-0101","time_zone":"Europe/Copenhagen"}`))
	require.Less(s.t, code, 300, string(body))
	eventually(s.t, "the facility in the tables", func() bool {
		code, _ := s.get("/v1/flows?facility=" + plantID)
		return code == http.StatusOK
	})
}

// loadData is the data of a load; day as 2024-01-31.
func loadData(day, tonnes string) string {
	return fmt.Sprintf(`"facility":"%s","occurred":"%sT11:00:00+01:00","material":{"waste_code":"200301"},`+
		`"mass":{"value":"%s","unit":"t","method":"weighed"},"operation":"R13","origin":{"area":"dk-0101"}`, plantID, day, tonnes)
}

func loadEvent(id, day, tonnes string) string {
	return `{"specversion":"1.0","id":"` + id + `","source":"weighbridge-1","type":"dk.stofstrom.flow.received.v1","data":{` + loadData(day, tonnes) + `}}`
}

type violation struct {
	Line    int    `json:"line"`
	Rule    string `json:"rule"`
	Field   string `json:"field"`
	Value   string `json:"value"`
	Message string `json:"message"`
}

// eventResult is the answer to one event.
type eventResult struct {
	Line    int    `json:"line"`
	Status  string `json:"status"`
	EventID string `json:"event_id"`
	FactID  string `json:"fact_id"`
	Ledger  string `json:"ledger"`
	Problem struct {
		Violations []violation `json:"violations"`
	} `json:"problem"`
	Warnings []struct {
		Rule string `json:"rule"`
	} `json:"warnings"`
}

// send sends a request that must be answered with a status, and returns the
// result when it is no refusal.
func (s *server) send(method, path, contentType, body string, want int) eventResult {
	s.t.Helper()
	code, answer := s.do(method, path, contentType, []byte(body))
	require.Equal(s.t, want, code, "%s %s: %s", method, path, answer)
	var r eventResult
	if want < 300 {
		require.NoError(s.t, json.Unmarshal(answer, &r), string(answer))
	}
	return r
}

// settles waits until the tables show a total for a month, and returns.
func (s *server) settles(month, tonnes string, events int) {
	s.t.Helper()
	next := map[string]string{"2024-01": "2024-02", "2024-02": "2024-03"}[month]
	query := q("facility", plantID, "from", month, "to", next)
	eventually(s.t, fmt.Sprintf("%s t in %s", tonnes, month), func() bool {
		a := s.flows(query)
		return a.Total.Events == events && rat(s.t, tonnes).Cmp(rat(s.t, a.Total.Tonnes)) == 0
	})
}

func TestAFactIsCorrectedMovedAndCancelledAndCountedOnce(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	s.plant()
	first := s.send(http.MethodPost, "/v1/events", oneEvent, loadEvent("1", "2024-01-31", "5"), 201)
	s.send(http.MethodPost, "/v1/events", oneEvent, loadEvent("2", "2024-01-30", "1"), 201)
	s.settles("2024-01", "6", 2)
	fact := "/v1/events/" + first.FactID

	// A → B → A: each a correction of the one before; the old content sent
	// again without a reason is a conflict meanwhile, and recorded already after.
	correction := s.send(http.MethodPost, fact+"/corrections", asJSON, `{"reason":"read wrongly",`+loadData("2024-01-31", "7")+`}`, 201)
	require.Equal(t, "corrected", correction.Status)
	s.settles("2024-01", "8", 2)
	s.send(http.MethodPost, "/v1/events", oneEvent, loadEvent("1", "2024-01-31", "5"), 409)
	back := s.send(http.MethodPost, "/v1/events/"+correction.EventID+"/corrections", asJSON, `{"reason":"it was right",`+loadData("2024-01-31", "5")+`}`, 201)
	require.NotEqual(t, first.EventID, back.EventID)
	require.Equal(t, "already_recorded", s.send(http.MethodPost, "/v1/events", oneEvent, loadEvent("1", "2024-01-31", "5"), 200).Status)
	s.settles("2024-01", "6", 2)

	// The ticket sent again under another date is a conflict; with a reason it
	// moves, and is counted once, in the other month; and back.
	s.send(http.MethodPost, "/v1/events", oneEvent, loadEvent("1", "2024-02-01", "5"), 409)
	moved := s.send(http.MethodPost, fact+"/corrections", asJSON, `{"reason":"it was the first",`+loadData("2024-02-01", "5")+`}`, 201)
	require.Equal(t, "moved", moved.Status)
	s.settles("2024-01", "1", 1)
	s.settles("2024-02", "5", 1)
	sameTonnes(t, "6", s.flows(q("facility", plantID)).Total.Tonnes, "both months together")
	s.send(http.MethodPost, fact+"/corrections", asJSON, `{"reason":"no, the last",`+loadData("2024-01-31", "5")+`}`, 201)
	s.settles("2024-01", "6", 2)
	s.settles("2024-02", "0", 0)

	// Cancelled, and sent again: nothing comes back.
	s.send(http.MethodDelete, fact, "", "", 422)
	require.Equal(t, "cancelled", s.send(http.MethodDelete, fact+"?reason=typed+in+twice", "", "", 200).Status)
	s.send(http.MethodPost, "/v1/events", oneEvent, loadEvent("1", "2024-01-31", "5"), 409)
	s.send(http.MethodPost, "/v1/events", oneEvent, loadEvent("1", "2024-02-01", "5"), 409)
	s.settles("2024-01", "1", 1)

	code, body := s.get(fact)
	require.Equal(t, 200, code)
	var life struct {
		Standing string `json:"standing"`
		Versions []struct {
			Change string         `json:"change"`
			Reason string         `json:"reason"`
			Actor  string         `json:"actor"`
			Was    map[string]any `json:"was"`
			Is     map[string]any `json:"is"`
		} `json:"versions"`
	}
	require.NoError(t, json.Unmarshal(body, &life))
	require.Equal(t, "cancelled", life.Standing)
	var changes []string
	for i, v := range life.Versions {
		changes = append(changes, v.Change)
		require.NotEmpty(t, v.Actor)
		if i > 0 {
			require.NotEmpty(t, v.Reason)
			require.Equal(t, life.Versions[i-1].Is, v.Was, "each version takes up the one before")
		}
	}
	require.Equal(t, []string{"recorded", "corrected", "corrected", "moved", "moved", "cancelled"}, changes)
	code, out, errOut := run(t, "verify", "--data", data)
	require.Zero(t, code, "%s\n%s", out, errOut)
}

func TestWhatComesAfterTheBooksAreClosed(t *testing.T) {
	s := serve(t, t.TempDir())
	s.plant()
	s.send(http.MethodPost, "/v1/events", oneEvent, loadEvent("1", "2024-01-10", "5"), 201)
	closed := s.send(http.MethodPost, "/v1/ledgers/"+plantID+"/202401/close", asJSON, `{"reason":"the month is over"}`, 201)
	require.Equal(t, "closed", closed.Status)
	late := s.send(http.MethodPost, "/v1/events", oneEvent, loadEvent("2", "2024-01-11", "3"), 201)
	require.Equal(t, "occurred-in-closed-month", late.Warnings[len(late.Warnings)-1].Rule)
	require.Equal(t, "already_recorded", s.send(http.MethodPost, "/v1/events", oneEvent, loadEvent("2", "2024-01-11", "3"), 200).Status)
	s.settles("2024-01", "8", 2)

	var ledger struct {
		Status string `json:"status"`
		Stock  []struct {
			Tonnes string `json:"mass_t"`
		} `json:"stock"`
		Closed struct {
			Holds bool `json:"digest_holds"`
			Stock []struct {
				Tonnes string `json:"mass_t"`
			} `json:"stock"`
		} `json:"closed"`
		BookedElsewhere int              `json:"booked_elsewhere"`
		Facts           []map[string]any `json:"facts"`
		Entries         []map[string]any `json:"entries"`
	}
	for view, entries := range map[string]int{"occurred": 2, "booked": 1} {
		code, body := s.get("/v1/ledgers/" + plantID + "/202401?view=" + view)
		require.Equal(t, 200, code, string(body))
		ledger.Facts, ledger.Entries = nil, nil
		require.NoError(t, json.Unmarshal(body, &ledger))
		require.Equal(t, "closed", ledger.Status)
		require.True(t, ledger.Closed.Holds)
		require.Equal(t, "8.000000", ledger.Stock[0].Tonnes)
		require.Equal(t, "5.000000", ledger.Closed.Stock[0].Tonnes)
		require.Equal(t, 1, ledger.BookedElsewhere)
		require.Len(t, append(ledger.Facts, ledger.Entries...), entries, view)
	}
}

func TestACancelledImportIsTakenOutOfTheTables(t *testing.T) {
	data := t.TempDir()
	s := serve(t, data)
	records := sampleTable(t)
	j := s.jobEnd(s.sendFile(toCSV(t, records[:201]), "profile=wdi").ID)
	require.Equal(t, 200, j.Counts["recorded"])
	eventually(t, "the import in the tables", func() bool { return s.flows("").Total.Events == 200 })
	path := "/v1/imports/" + j.ID
	code, body := s.do(http.MethodDelete, path+"?reason=the+wrong+file", "", nil)
	require.Equal(t, 202, code, string(body))
	s.kill()

	s = serve(t, data)
	eventually(t, "the cancellation", func() bool {
		code, body := s.get(path)
		require.Equal(t, 200, code)
		return strings.Contains(string(body), `"cancelled":200`)
	})
	eventually(t, "nothing in the tables", func() bool { return s.flows("").Total.Events == 0 })
	sameTonnes(t, "0", s.flows("").Total.Tonnes, "total")
	code, _ = s.do(http.MethodDelete, path+"?reason="+url.QueryEscape("the wrong file"), "", nil)
	require.Equal(t, 200, code)
	j = s.jobEnd(s.sendFile(toCSV(t, records[:201]), "profile=wdi").ID)
	require.Equal(t, 200, j.Counts["conflict"], "%v", j.Counts)
	code, out, errOut := run(t, "verify", "--data", data)
	require.Zero(t, code, "%s\n%s", out, errOut)
}
