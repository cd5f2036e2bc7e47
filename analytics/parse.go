package analytics

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
)

// The span of days that a question can bound: the tables' own.
const (
	firstDay flow.Date = "1970-01-01"
	lastDay  flow.Date = "2149-06-06"
)

// ParseFlowQuery reads a flow question from URL parameters: measure, from, to,
// group_by (repeated or with commas) and one repeatable parameter for each
// dimension. from and to are YYYY, YYYY-MM or YYYY-MM-DD.
//
// Errors are faults of kind Invalid that carry a violation for everything
// that is wrong, not only for the first thing.
func ParseFlowQuery(values map[string][]string) (FlowQuery, error) {
	p := parser{query: FlowQuery{Measure: flow.MeasureReceived, Filters: map[Dimension][]string{}}}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		p.parameter(name, values[name])
	}
	q := p.query
	if len(p.violations) == 0 && q.From != "" && q.To != "" && q.From >= q.To {
		p.violate("question-period", "to", string(q.To), "ends before it begins: from %s, to (exclusive) %s", q.From, q.To)
	}
	if err := invalid(p.violations); err != nil {
		return FlowQuery{}, err
	}
	return q, nil
}

// invalid makes a fault of violations, nil of none.
func invalid(violations []fault.Violation) error {
	if len(violations) == 0 {
		return nil
	}
	f := fault.New(fault.Invalid, "the question cannot be answered as it is asked")
	f.Violations = violations
	return f
}

func violation(rule, field, value, format string, args ...any) fault.Violation {
	return fault.Violation{Rule: rule, Field: field, Value: value[:min(len(value), maxFilterBytes)], Message: fmt.Sprintf(format, args...)}
}

type parser struct {
	query      FlowQuery
	violations []fault.Violation
}

func (p *parser) violate(rule, field, value, format string, args ...any) {
	p.violations = append(p.violations, violation(rule, field, value, format, args...))
}

func (p *parser) parameter(name string, values []string) {
	switch name {
	case "measure":
		p.measure(values)
	case "from":
		p.query.From = p.date(name, values)
	case "to":
		p.query.To = p.date(name, values)
	case "group_by":
		p.groupBy(values)
	default:
		d := Dimension(name)
		if !slices.Contains(Dimensions(), d) {
			p.violate("question-parameter", name, strings.Join(values, ","),
				"is no parameter of this question; allowed: measure, from, to, group_by, format, %s", join(Dimensions()))
			return
		}
		p.filter(d, values)
	}
}

func (p *parser) measure(values []string) {
	value := strings.Join(values, ",")
	if strings.Contains(value, ",") {
		p.violate("question-one-measure", "measure", value,
			"names more than one measure: a tonne that is received and later recycled would count twice; ask once for each")
		return
	}
	p.query.Measure = flow.Measure(value)
	if !slices.Contains(Measures(), p.query.Measure) {
		p.violate("question-measure", "measure", value, "is no measure; allowed: %s", join(Measures()))
	}
}

func (p *parser) groupBy(values []string) {
	for _, value := range values {
		for _, name := range strings.Split(value, ",") {
			d := Dimension(strings.TrimSpace(name))
			switch {
			case !slices.Contains(Dimensions(), d):
				p.violate("question-dimension", "group_by", string(d), "is no dimension; allowed: %s", join(Dimensions()))
			case slices.Contains(p.query.GroupBy, d):
				p.violate("question-dimension-twice", "group_by", string(d), "is named twice")
			default:
				p.query.GroupBy = append(p.query.GroupBy, d)
			}
		}
	}
}

func (p *parser) filter(d Dimension, values []string) {
	if len(values) > maxFilterValues {
		p.violate("question-values", string(d), fmt.Sprint(len(values)), "has more than %d values", maxFilterValues)
		return
	}
	for _, value := range values {
		switch {
		case value == "":
			p.violate("question-value-empty", string(d), value, "is empty; leave it out to keep everything, or say %s", notStated)
		case len(value) > maxFilterBytes:
			p.violate("question-value-long", string(d), value, "is longer than %d bytes", maxFilterBytes)
		default:
			p.query.Filters[d] = append(p.query.Filters[d], value)
		}
	}
}

var dateShape = regexp.MustCompile(`^\d{4}(-\d{2}){0,2}$`)

func (p *parser) date(name string, values []string) flow.Date {
	if len(values) != 1 {
		p.violate("question-date", name, strings.Join(values, ","), "is given %d times; give it once", len(values))
		return ""
	}
	value := values[0]
	day, err := time.Parse(time.DateOnly, (value + "-01-01")[:min(len(value)+6, len(time.DateOnly))])
	if !dateShape.MatchString(value) || err != nil {
		p.violate("question-date", name, value, "is no date such as 2019, 2019-03 or 2019-03-01")
		return ""
	}
	date := flow.Date(day.Format(time.DateOnly))
	if date < firstDay || date > lastDay {
		p.violate("question-date", name, value, "lies outside %s to %s", firstDay, lastDay)
		return ""
	}
	return date
}
