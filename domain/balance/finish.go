package balance

import "math"

// observe gives the unmeasured streams that no other unmeasured one can move.
func (s *solver) observe() {
	width := 0
	for _, f := range s.factors {
		width = max(width, len(f))
	}
	for k, basis := range s.basis[:s.observed] {
		var moved float64
		for j, f := range s.at(k)[:s.open] {
			if j != basis {
				moved = max(moved, math.Abs(f))
			}
		}
		if moved > zeroTolerance {
			continue
		}
		s.factors[basis] = s.given(k, width)
	}
}

// finish writes the results of the component.
func (s *solver) finish() error {
	for _, i := range s.exact {
		s.result.Streams[i] = Reconciled{Status: Exact, Value: s.problem.Streams[i].Value}
	}
	for j, i := range s.columns {
		s.result.Streams[i].Status = Unobservable
		if j < s.open {
			continue
		}
		r, measured := &s.result.Streams[i], s.problem.Streams[i]
		r.Status, r.Value = Unchecked, measured.Value
		if s.redundant[j] {
			r.Status = Redundant
			r.Adjustment = s.z[j] * s.sd[j] * s.scale[j]
			r.Value += r.Adjustment
		}
	}
	// A row says its basis more exactly than a difference of large numbers does.
	for k, basis := range s.basis {
		if s.factors[basis] == nil {
			continue
		}
		value := s.b[k]
		for j := s.open; j < len(s.columns); j++ {
			if !s.isBasis[j] {
				value -= s.at(k)[j] * s.sd[j] * s.z[j]
			}
		}
		r := &s.result.Streams[s.columns[basis]]
		if basis < s.open {
			r.Status, r.Value = Observable, value*s.scale[basis]
		} else {
			r.Adjustment = value * s.scale[basis]
			r.Value = s.problem.Streams[s.columns[basis]].Value + r.Adjustment
		}
	}
	var largest float64
	for _, i := range s.component.streams {
		if s.problem.Streams[i].Measured {
			largest = max(largest, math.Abs(s.problem.Streams[i].Value))
		}
		largest = max(largest, math.Abs(s.result.Streams[i].Value))
	}
	for _, i := range s.component.streams {
		r := &s.result.Streams[i]
		if j, ok := s.column[i]; ok && s.factors[j] != nil {
			for c := range s.factors[j] {
				s.factors[j][c] *= s.scale[j]
			}
			s.result.factors[i] = factor{component: s.number, row: s.factors[j]}
			r.Variance = squares(s.factors[j])
		}
		r.Negative = !s.problem.Streams[i].Signed && r.Value < -negativeTolerance*largest
		if math.IsNaN(r.Value+r.Variance+r.Test) || math.IsInf(r.Value+r.Variance+r.Test, 0) {
			return s.apart()
		}
	}
	return nil
}
