package httpapi

import (
	"mime"
	"net/url"
	"strconv"
	"strings"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// chooseForm takes the form that the parameter format names, else the one that
// Accept prefers, else JSON.
func chooseForm(accept []string, values url.Values) (form, error) {
	all := forms()
	if names, ok := values["format"]; ok {
		for _, f := range all {
			if len(names) == 1 && names[0] == f.name {
				return f, nil
			}
		}
		refused := fault.New(fault.Invalid, "the answer cannot be given in this form")
		value := strings.Join(names, ",")
		refused.Violations = []fault.Violation{{
			Rule: "question-format", Field: "format", Value: value[:min(len(value), 200)], Message: "is no form of an answer; allowed: json, csv",
		}}
		return form{}, refused
	}
	chosen, best := all[0], 0.0
	for _, f := range all {
		if q := quality(accept, f); q > best {
			chosen, best = f, q
		}
	}
	if len(accept) > 0 && best == 0 {
		return form{}, &notAcceptable{}
	}
	return chosen, nil
}

// notAcceptable refuses an Accept header that names no form there is.
type notAcceptable struct{}

func (*notAcceptable) Error() string {
	return "answers are given as application/json or text/csv; Accept allows neither"
}

// quality is how much Accept wants a form: the weight of the most specific
// range that matches, 0 when none does.
func quality(accept []string, f form) float64 {
	media, _, _ := strings.Cut(f.mediaType, ";")
	kind, _, _ := strings.Cut(media, "/")
	best, specific := 0.0, -1
	for _, header := range accept {
		for _, part := range strings.Split(header, ",") {
			name, parameters, err := mime.ParseMediaType(part)
			if err != nil {
				continue // as if it were not there, as RFC 9110 lets servers do
			}
			rank := -1
			switch name {
			case media:
				rank = 2
			case kind + "/*":
				rank = 1
			case "*/*":
				rank = 0
			}
			if rank <= specific {
				continue
			}
			q, err := strconv.ParseFloat(parameters["q"], 64)
			if _, given := parameters["q"]; !given || err != nil {
				q = 1
			}
			best, specific = q, rank
		}
	}
	return best
}
