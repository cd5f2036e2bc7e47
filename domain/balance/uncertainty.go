package balance

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// Uncertainty is how well a method of measurement knows a mass, as standard
// deviations. A sum of n masses g has the variance
//
//	(Shared · Σg)² + Single² · Σg² + n · Step²
type Uncertainty struct {
	Shared float64    // part of the mass, the same for every load: calibration, a density taken from a table
	Single float64    // part of the mass, anew for every load
	Step   mass.Grams // anew for every load, whatever it weighs: the step of a scale
}

// Variance of a sum in grams squared. squares is Σg² in grams squared, loads
// is n; both may be negative where more was taken back than was counted.
func (u Uncertainty) Variance(sum mass.Grams, squares float64, loads int64) float64 {
	shared := u.Shared * float64(sum)
	return shared*shared + u.Single*u.Single*math.Abs(squares) + math.Abs(float64(loads))*float64(u.Step)*float64(u.Step)
}

// Uncertainties are a rule set: the uncertainty of every method.
type Uncertainties struct {
	ID       string // stands in answers; a rule set under one ID never changes
	ByMethod map[flow.Method]Uncertainty
}

// DefaultUncertainties are what holds when nothing else is said. They are
// orders of magnitude for planning, not a calibration: no published set for
// waste facilities was found that could be taken over, and a site that knows
// its own scales should say so.
func DefaultUncertainties() Uncertainties {
	return Uncertainties{ID: "uncertainty/v1", ByMethod: map[flow.Method]Uncertainty{
		flow.Weighed:   {Shared: 0.002, Single: 0.005, Step: 10_000}, // a verified weighbridge with steps of 20 kg, weighed in and out
		flow.Volume:    {Shared: 0.10, Single: 0.20},                 // how full the container is, and how dense its content
		flow.Declared:  {Shared: 0.05, Single: 0.10},                 // a statistic that does not say how it knows
		flow.Estimated: {Shared: 0.20, Single: 0.30},
	}}
}

// Of is the uncertainty of a method; one that is not in the set counts as
// estimated.
func (u Uncertainties) Of(m flow.Method) Uncertainty {
	if found, ok := u.ByMethod[m]; ok {
		return found
	}
	return u.ByMethod[flow.Estimated]
}

// Methods lists the methods that an uncertainty can be given for.
func Methods() []flow.Method {
	return []flow.Method{flow.Weighed, flow.Volume, flow.Declared, flow.Estimated}
}

// maxPercent bounds what With takes: beyond it a number says nothing.
const maxPercent = 1000

// With changes methods as said: "weighed:0.5" is a standard deviation of half a
// per cent of any sum of weighed masses, 0 an exact one. The ID of the result
// names the changes. An error names what cannot be read.
func (u Uncertainties) With(changes []string) (Uncertainties, error) {
	if len(changes) == 0 {
		return u, nil
	}
	next := Uncertainties{ID: u.ID, ByMethod: maps.Clone(u.ByMethod)}
	said := map[flow.Method]string{}
	for _, change := range changes {
		name, number, found := strings.Cut(change, ":")
		method := flow.Method(name)
		percent, err := strconv.ParseFloat(number, 64)
		switch {
		case !found || !slices.Contains(Methods(), method):
			return u, fmt.Errorf("%q names no method; wanted is method:percent with one of %v", change, Methods())
		case err != nil || !(percent >= 0 && percent <= maxPercent):
			return u, fmt.Errorf("%q gives no percentage from 0 to %d", change, maxPercent)
		case said[method] != "":
			return u, fmt.Errorf("%q gives %s a second time", change, method)
		}
		said[method] = string(method) + ":" + strconv.FormatFloat(percent, 'g', -1, 64)
		next.ByMethod[method] = Uncertainty{Shared: percent / 100}
	}
	for _, method := range slices.Sorted(maps.Keys(said)) {
		next.ID += "+" + said[method]
	}
	return next, nil
}
