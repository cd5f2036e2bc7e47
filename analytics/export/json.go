// Package export writes answers as JSON, CSV and text for a terminal, and
// reads the JSON back.
//
// It promises that masses are exact in every form (six decimals of a tonne,
// never through a float), that the same answer is the same bytes, and that
// WriteJSON and ReadJSON lose nothing. It leaves out asking, HTTP, and the
// forms that come with later questions (Parquet, Sankey, GeoJSON).
package export

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stofstrom/stofstrom/analytics"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// Names that stand beside the dimensions in every form.
const (
	columnMass   = "mass_t"
	columnEvents = "events"
	unitMass     = "tonne (1000 kg), exact to the gram"
	unitEvents   = "facts that count, cancelled ones taken out"
)

// WriteJSON writes an answer as one JSON object:
//
//	{"measure":"received","rows":[{"<column>":"…"|null,…,"mass_t":"1.000000","events":1}],
//	 "total":{"mass_t":"…","events":…},"position":…,"as_of":"…"|null,"rules":["…"],"units":{"mass_t":"…","events":"…"}}
//
// with from and to after measure where the question bounds them.
func WriteJSON(w io.Writer, a analytics.FlowAnswer) error {
	e := encoder{jsontext.NewEncoder(w), nil}
	e.open()
	e.member("measure", jsontext.String(string(a.Measure)))
	if a.From != "" {
		e.member("from", jsontext.String(string(a.From)))
	}
	if a.To != "" {
		e.member("to", jsontext.String(string(a.To)))
	}
	e.token(jsontext.String("rows"))
	e.token(jsontext.BeginArray)
	for _, row := range a.Rows {
		e.open()
		for i, name := range a.Columns {
			e.member(name, text(row.Values[i]))
		}
		e.amount(row.Amount)
		e.close()
	}
	e.token(jsontext.EndArray)
	e.token(jsontext.String("total"))
	e.open()
	e.amount(a.Total)
	e.close()
	e.member("position", jsontext.Uint(a.Position))
	if a.AsOf.IsZero() {
		e.member("as_of", jsontext.Null)
	} else {
		e.member("as_of", jsontext.String(a.AsOf.UTC().Format(time.RFC3339Nano)))
	}
	e.token(jsontext.String("rules"))
	e.token(jsontext.BeginArray)
	for _, rule := range a.Rules {
		e.token(jsontext.String(rule))
	}
	e.token(jsontext.EndArray)
	e.token(jsontext.String("units"))
	e.open()
	e.member(columnMass, jsontext.String(unitMass))
	e.member(columnEvents, jsontext.String(unitEvents))
	e.close()
	e.close()
	if e.err != nil {
		return fmt.Errorf("write answer as JSON: %w", e.err)
	}
	return nil
}

// encoder keeps the first error, so that writing reads like the shape.
type encoder struct {
	*jsontext.Encoder
	err error
}

func (e *encoder) token(t jsontext.Token) {
	if e.err == nil {
		e.err = e.WriteToken(t)
	}
}

func (e *encoder) open()  { e.token(jsontext.BeginObject) }
func (e *encoder) close() { e.token(jsontext.EndObject) }

func (e *encoder) member(name string, value jsontext.Token) {
	e.token(jsontext.String(name))
	e.token(value)
}

func (e *encoder) amount(a analytics.Amount) {
	e.member(columnMass, jsontext.String(a.Mass.Tonnes()))
	e.member(columnEvents, jsontext.Int(a.Events))
}

func text(v analytics.Value) jsontext.Token {
	if !v.Stated {
		return jsontext.Null
	}
	return jsontext.String(v.Text)
}

// ErrShape refuses JSON that is not an answer of the flow question.
var ErrShape = errors.New("not an answer of the flow question")

// ReadJSON reads what WriteJSON wrote. Errors: broken JSON, ErrShape, or a mass
// that is no exact number of grams.
func ReadJSON(r io.Reader) (analytics.FlowAnswer, error) {
	var form struct {
		Measure  flow.Measure     `json:"measure"`
		From     flow.Date        `json:"from"`
		To       flow.Date        `json:"to"`
		Rows     []jsontext.Value `json:"rows"`
		Total    *amountForm      `json:"total"`
		Position *uint64          `json:"position"`
		AsOf     time.Time        `json:"as_of"`
		Rules    []string         `json:"rules"`
	}
	if err := json.UnmarshalRead(r, &form); err != nil {
		return analytics.FlowAnswer{}, fmt.Errorf("read answer: %w", err)
	}
	if form.Measure == "" || form.Total == nil || form.Position == nil || form.Rows == nil {
		return analytics.FlowAnswer{}, fmt.Errorf("read answer: measure, rows, total or position missing: %w", ErrShape)
	}
	a := analytics.FlowAnswer{
		Measure: form.Measure, From: form.From, To: form.To, Position: *form.Position, AsOf: form.AsOf, Rules: form.Rules,
		Rows: make([]analytics.FlowRow, 0, len(form.Rows)),
	}
	var err error
	if a.Total, err = form.Total.amount(); err != nil {
		return analytics.FlowAnswer{}, fmt.Errorf("read total: %w", err)
	}
	for i, value := range form.Rows {
		columns, row, err := readRow(value)
		if err != nil {
			return analytics.FlowAnswer{}, fmt.Errorf("read row %d: %w", i+1, err)
		}
		if i == 0 {
			a.Columns = columns
		}
		if fmt.Sprint(columns) != fmt.Sprint(a.Columns) {
			return analytics.FlowAnswer{}, fmt.Errorf("read row %d: columns %v, the first row has %v: %w", i+1, columns, a.Columns, ErrShape)
		}
		a.Rows = append(a.Rows, row)
	}
	return a, nil
}

type amountForm struct {
	Mass   string `json:"mass_t"`
	Events int64  `json:"events"`
}

func (f amountForm) amount() (analytics.Amount, error) {
	grams, err := mass.ParseTonnes(f.Mass)
	if err != nil {
		return analytics.Amount{}, fmt.Errorf("mass_t: %w", err)
	}
	return analytics.Amount{Mass: grams, Events: f.Events}, nil
}

// readRow reads the members of a row in the order they stand in.
func readRow(value jsontext.Value) (columns []string, row analytics.FlowRow, err error) {
	var members []struct {
		name  string
		value jsontext.Value
	}
	d := jsontext.NewDecoder(bytes.NewReader(value))
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return nil, row, fmt.Errorf("no object: %w", errors.Join(ErrShape, err))
	}
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return nil, row, err
		}
		name := token.String()
		v, err := d.ReadValue()
		if err != nil {
			return nil, row, err
		}
		members = append(members, struct {
			name  string
			value jsontext.Value
		}{name, v.Clone()})
	}
	var amount amountForm
	columns = []string{}
	for _, m := range members {
		switch m.name {
		case columnMass:
			err = json.Unmarshal(m.value, &amount.Mass)
		case columnEvents:
			err = json.Unmarshal(m.value, &amount.Events)
		default:
			var text *string
			err = json.Unmarshal(m.value, &text)
			columns = append(columns, m.name)
			if text == nil {
				row.Values = append(row.Values, analytics.Value{})
			} else {
				row.Values = append(row.Values, analytics.Value{Text: *text, Stated: true})
			}
		}
		if err != nil {
			return nil, row, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	row.Amount, err = amount.amount()
	return columns, row, err
}
