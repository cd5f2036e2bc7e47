package export

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/domain/balance"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// Balances is an answer of the balance question as it is written.
type Balances struct {
	From     flow.Date         `json:"from,omitzero"`
	To       flow.Date         `json:"to,omitzero"`
	Rows     []BalanceRow      `json:"rows"`
	Flows    []BalanceFlow     `json:"flows"`
	LeftOut  []BalanceLeftOut  `json:"left_out"`
	Test     BalanceTest       `json:"test"`
	Position *uint64           `json:"position"`
	AsOf     *string           `json:"as_of"`
	Rules    []string          `json:"rules"`
	Units    map[string]string `json:"units"`
}

// place is where a number belongs.
type place struct {
	Facility  string  `json:"facility"`
	Name      *string `json:"facility_name"`
	WasteCode *string `json:"waste_code"`
	Fraction  *string `json:"fraction"`
	Product   *string `json:"product"`
}

// estimate is what reconciling says: nothing where no measurement tells.
type estimate struct {
	Reconciled *string `json:"reconciled_t"`
	SD         *string `json:"sd_t"`
}

// BalanceRow is one line of a balance.
type BalanceRow struct {
	place
	Scope     string  `json:"scope"` // facility or material
	Neighbour bool    `json:"neighbour"`
	Term      string  `json:"term"`
	Measured  *string `json:"measured_t"`
	estimate
}

// BalanceFlow is one stream.
type BalanceFlow struct {
	place
	Term       string  `json:"term"`
	Measure    string  `json:"measure"`
	Kind       *string `json:"kind"`
	Other      *string `json:"other_facility"`
	BothSides  bool    `json:"both_sides"`
	Status     string  `json:"status"`
	Measured   *string `json:"measured_t"`
	MeasuredSD *string `json:"measured_sd_t"`
	estimate
	Adjustment *string         `json:"adjustment_t"`
	Test       *jsontext.Value `json:"test"`
	Suspect    bool            `json:"suspect"`
	Negative   bool            `json:"negative"`
}

// BalanceLeftOut is a period total that does not count.
type BalanceLeftOut struct {
	Facility string    `json:"facility"`
	Measure  string    `json:"measure"`
	From     flow.Date `json:"from"`
	To       flow.Date `json:"to"`
	Mass     string    `json:"mass_t"`
	Facts    int64     `json:"facts"`
	Because  string    `json:"because"`
}

// BalanceTest is the test for gross errors over everything reconciled.
type BalanceTest struct {
	ChiSquare        jsontext.Value `json:"chi_square"`
	DegreesOfFreedom int            `json:"degrees_of_freedom"`
	Critical         jsontext.Value `json:"critical"`
	Significance     jsontext.Value `json:"significance"`
	GrossError       bool           `json:"gross_error"`
	FlowCritical     jsontext.Value `json:"flow_critical"`
}

// NewBalances turns an answer into what is written. Measured masses are exact;
// reconciled ones and standard deviations are estimates, rounded to the gram.
// Errors: an estimate beyond what grams hold.
func NewBalances(a analytics.BalanceAnswer) (Balances, error) {
	out := Balances{
		From: a.From, To: a.To, Rows: []BalanceRow{}, Flows: []BalanceFlow{}, LeftOut: []BalanceLeftOut{}, Position: &a.Position, Rules: a.Rules,
		Test: BalanceTest{
			ChiSquare: number(a.Test.ChiSquare), DegreesOfFreedom: a.Test.DegreesOfFreedom, Critical: number(a.Test.Critical),
			Significance: number(a.Test.Significance), GrossError: a.Test.GrossError, FlowCritical: number(a.Test.StreamCritical),
		},
		Units: map[string]string{
			"measured_t": unitMass, "mass_t": unitMass,
			"reconciled_t": "tonne (1000 kg), an estimate, rounded to the gram", "adjustment_t": "tonne (1000 kg), reconciled less measured",
			"sd_t": "tonne (1000 kg), standard deviation of reconciled_t", "measured_sd_t": "tonne (1000 kg), standard deviation of measured_t",
			"test": "adjustment in standard deviations of itself", "facts": unitEvents,
		},
	}
	if !a.AsOf.IsZero() {
		at := a.AsOf.UTC().Format(time.RFC3339Nano)
		out.AsOf = &at
	}
	var t tonnes
	for _, b := range a.Balances {
		for _, l := range b.Lines {
			row := BalanceRow{
				place: placeOf(string(b.Facility), b.Name, b.Material), Scope: "material", Neighbour: b.Neighbour, Term: string(l.Term),
				estimate: t.estimate(l.Reconciled.Known && l.Term != balance.Gap, l.Reconciled.Value, l.Reconciled.SD),
			}
			if b.Whole {
				row.Scope = "facility"
			}
			if l.Known {
				row.Measured = exact(l.Measured)
			}
			out.Rows = append(out.Rows, row)
		}
	}
	for _, f := range a.Flows {
		row := BalanceFlow{
			place: placeOf(string(f.Facility), f.Name, f.Material), Term: string(f.Term), Measure: f.Measure, Kind: orNull(string(f.Kind)),
			Other: orNull(string(f.Other)), BothSides: f.BothSides, Status: string(f.Status), Suspect: f.Suspect, Negative: f.Negative,
			estimate: t.estimate(f.Status != balance.Unobservable, f.Value, math.Sqrt(f.Variance)),
		}
		if f.Measured {
			row.Measured, row.MeasuredSD, row.Adjustment = exact(f.Net), t.of(f.SD), t.of(f.Adjustment)
		}
		if f.Status == balance.Redundant {
			test := number(f.Test)
			row.Test = &test
		}
		out.Flows = append(out.Flows, row)
	}
	for _, l := range a.LeftOut {
		row := BalanceLeftOut{
			Facility: string(l.Facility), Measure: l.Measure, From: l.Period.From, To: l.Period.To, Mass: l.Net.Tonnes(), Facts: l.Facts,
			Because: "loads were reported within the period",
		}
		if (l.Beside != flow.Period{}) {
			row.Because = fmt.Sprintf("a total from %s before %s was reported", l.Beside.From, l.Beside.To)
		}
		out.LeftOut = append(out.LeftOut, row)
	}
	return out, t.err
}

func placeOf(id string, name analytics.Value, m balance.Material) place {
	return place{id, orNull(name.Text), orNull(string(m.Waste)), orNull(m.Fraction), orNull(m.Product)}
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func exact(g mass.Grams) *string {
	text := g.Tonnes()
	return &text
}

// number writes a float with six digits that count, without an exponent.
func number(x float64) jsontext.Value {
	if x == 0 {
		return jsontext.Value("0")
	}
	digits := 5 - int(math.Floor(math.Log10(math.Abs(x))))
	text := strconv.FormatFloat(x, 'f', max(digits, 0), 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return jsontext.Value(text)
}

// errTooLarge refuses an estimate that cannot be written.
var errTooLarge = errors.New("an estimate is larger than 64 bits of grams hold")

// tonnes writes estimates of grams, and keeps the first error.
type tonnes struct{ err error }

func (t *tonnes) of(grams float64) *string {
	if !(math.Abs(grams) < math.MaxInt64) {
		t.err = errTooLarge
		return nil
	}
	return exact(mass.Grams(math.Round(grams)))
}

func (t *tonnes) estimate(known bool, value, sd float64) estimate {
	if !known {
		return estimate{}
	}
	return estimate{t.of(value), t.of(sd)}
}

// WriteBalancesJSON writes an answer as one JSON object (Balances).
func WriteBalancesJSON(w io.Writer, a analytics.BalanceAnswer) error {
	form, err := NewBalances(a)
	if err == nil {
		err = json.MarshalWrite(w, form, json.Deterministic(true))
	}
	if err != nil {
		return fmt.Errorf("write balances as JSON: %w", err)
	}
	return nil
}

// ReadBalancesJSON reads what WriteBalancesJSON wrote. Errors: broken JSON, or
// ErrShape.
func ReadBalancesJSON(r io.Reader) (Balances, error) {
	var form Balances
	if err := json.UnmarshalRead(r, &form); err != nil {
		return Balances{}, fmt.Errorf("read balances: %w", err)
	}
	if form.Rows == nil || form.Flows == nil || form.Position == nil {
		return Balances{}, fmt.Errorf("read balances: rows, flows or position missing: %w", ErrShape)
	}
	return form, nil
}

// WriteBalancesCSV writes the rows of an answer as CSV (RFC 4180, UTF-8, LF):
// measured and reconciled side by side. What is not known is an empty field.
// Streams, test, position and rules are left to the carrier and to JSON.
func WriteBalancesCSV(w io.Writer, a analytics.BalanceAnswer) error {
	form, err := NewBalances(a)
	if err != nil {
		return fmt.Errorf("write balances as CSV: %w", err)
	}
	c := csv.NewWriter(w)
	records := [][]string{{"facility", "facility_name", "scope", "neighbour", "waste_code", "fraction", "product", "term", "measured_t", "reconciled_t", "sd_t"}}
	for _, r := range form.Rows {
		records = append(records, []string{
			r.Facility, textOf(r.Name), r.Scope, strconv.FormatBool(r.Neighbour), textOf(r.WasteCode), textOf(r.Fraction), textOf(r.Product), r.Term,
			textOf(r.Measured), textOf(r.Reconciled), textOf(r.SD),
		})
	}
	if err := c.WriteAll(records); err != nil {
		return fmt.Errorf("write balances as CSV: %w", err)
	}
	return nil
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// WriteBalancesTable writes balances for a terminal: a line for each term,
// then what the test says, what was left out, and the position. At most
// maxRows lines are shown, and one says how many are not; 0 shows all.
func WriteBalancesTable(w io.Writer, b Balances, maxRows int) error {
	t := table{heading: []string{"facility", "material", "term", "measured t", "reconciled t", "± t"}, numbers: 3}
	for i, r := range b.Rows {
		if maxRows > 0 && i == maxRows {
			break
		}
		material := strings.TrimSpace(textOf(r.WasteCode) + " " + textOf(r.Fraction) + " " + textOf(r.Product))
		switch {
		case r.Scope == "facility":
			material = "all"
		case material == "":
			material = noValue
		}
		name := r.Facility
		if r.Name != nil {
			name = *r.Name + " (" + r.Facility + ")"
		}
		t.lines = append(t.lines, []string{
			shown(name), shown(material), r.Term, figure(r.Measured), figure(r.Reconciled), figure(r.SD),
		})
	}
	text := t.String()
	if hidden := len(b.Rows) - len(t.lines); hidden > 0 {
		text += fmt.Sprintf("… and %s more rows\n", thousands(strconv.Itoa(hidden)))
	}
	text += b.verdict()
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write balances as a table: %w", err)
	}
	return nil
}

// verdict is what stands below the table.
func (b Balances) verdict() (text string) {
	switch {
	case b.Test.DegreesOfFreedom == 0:
		text = "nothing was measured twice: no test\n"
	case b.Test.GrossError:
		text = fmt.Sprintf("gross error: χ² %s with %d degrees of freedom is above %s\n", b.Test.ChiSquare, b.Test.DegreesOfFreedom, b.Test.Critical)
	default:
		text = fmt.Sprintf("no gross error: χ² %s with %d degrees of freedom is not above %s\n", b.Test.ChiSquare, b.Test.DegreesOfFreedom, b.Test.Critical)
	}
	for _, f := range b.Flows {
		if f.Suspect {
			text += fmt.Sprintf("suspect: %s of %s at %s: measured %s t, reconciled %s t (test %s)\n",
				f.Measure, shown(textOf(f.WasteCode)), shown(f.Facility), figure(f.Measured), figure(f.Reconciled), f.test())
		}
	}
	for _, l := range b.LeftOut {
		text += fmt.Sprintf("left out: total of %s t %s at %s from %s before %s: %s\n", thousands(l.Mass), l.Measure, shown(l.Facility), l.From, l.To, l.Because)
	}
	a := analytics.FlowAnswer{From: b.From, To: b.To}
	return text + fmt.Sprintf("rules %s%s, position %d\n", strings.Join(b.Rules, ", "), span(a), *b.Position)
}

func (f BalanceFlow) test() string {
	if f.Test == nil {
		return noValue
	}
	return shown(f.Test.String())
}

func shown(s string) string { return cell(analytics.Value{Text: s, Stated: true}) }

func figure(s *string) string {
	if s == nil {
		return noValue
	}
	return thousands(*s)
}
