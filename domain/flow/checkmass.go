package flow

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/stofstrom/stofstrom/domain/mass"
	"github.com/stofstrom/stofstrom/domain/operation"
)

func (c *checker) mass() {
	m := c.f.Mass
	value := m.Net.String()
	switch {
	case m.Net < 0, m.Net == 0 && c.f.Kind != StockCounted: // a count can find nothing
		c.add(RuleMassNotPositive, "mass.value", value, "")
	case c.f.Kind == PeriodReported || c.f.Kind == StockCounted:
		if m.Net > MaxTotal {
			c.add(RuleTotalAboveLimit, "mass.value", value, "")
		}
	case m.Net > MaxLoad:
		c.add(RuleMassAboveLimit, "mass.value", value, "")
	case c.shape.byRoad && m.Net > LikelyKilograms:
		c.add(RuleLikelyKilograms, "mass.value", value, "")
		c.add(RuleRoadLoad, "mass.value", value, "")
	case c.shape.byRoad && m.Net > RoadLoad:
		c.add(RuleRoadLoad, "mass.value", value, "")
	}
	if m.Gross != 0 || m.Tare != 0 {
		net, err := m.Gross.Sub(m.Tare)
		if err != nil || net != m.Net || m.Gross < 0 || m.Tare < 0 {
			c.add(RuleNetDiffers, "mass.value", value, fmt.Sprintf("Gross %s, tare %s.", m.Gross, m.Tare))
		}
	}
	if !m.Method.Valid() {
		c.add(RuleMethodUnknown, "mass.method", string(m.Method), "")
	}
	if m.Method == Estimated && c.isFinal() {
		c.add(RuleEstimateFinal, "mass.method", string(m.Method), "")
	}
}

// isFinal tells whether the fact says that waste is incinerated or landfilled
// for good at the facility.
func (c *checker) isFinal() bool {
	switch MeasureOf(*c.f) {
	case MeasureIncinerated, MeasureLandfilled:
		return true
	case MeasureReceived, MeasureCollected:
		return finalThermalOrLandfill(c.f.Operation)
	case MeasureDispatched, MeasureRejected, MeasureSorted, MeasureReused, MeasureRecycled, MeasureExported:
	}
	return false
}

func (c *checker) operation() {
	op := c.f.Operation
	c.have("operation", op != "", string(op), c.shape.operation)
	if op == "" || c.shape.operation == never {
		return
	}
	if !op.Valid() {
		c.add(RuleOperation, "operation", string(op), "")
		return
	}
	if op == operation.NotStated || op == operation.OtherFate { // never refused
		return
	}
	if c.shape.operations != nil && !c.shape.operations(op) {
		c.add(RuleOperationForKind, "operation", string(op), fmt.Sprintf("The kind is %s.", c.f.Kind))
	}
	if c.shape.here && c.atFacility() && c.ctx.Facility != nil && len(c.ctx.Facility.Operations) > 0 &&
		!slices.Contains(c.ctx.Facility.Operations, string(op)) {
		c.add(RuleOperationPermitted, "operation", string(op), fmt.Sprintf("The permit allows %s.", join(c.ctx.Facility.Operations)))
	}
}

// atFacility tells whether the operation is the facility's own: of what was
// dispatched or exported it is somebody else's.
func (c *checker) atFacility() bool {
	m := MeasureOf(*c.f)
	return m != MeasureDispatched && m != MeasureExported && m != MeasureRejected
}

// treatment checks what came out of it.
func (c *checker) treatment() {
	f := c.f
	c.have("outputs", len(f.Outputs) > 0, strconv.Itoa(len(f.Outputs)), c.shape.outputs)
	c.have("items", f.Items != 0, strconv.FormatInt(f.Items, 10), c.shape.items)
	c.have("displaces", f.Displaces != "", f.Displaces, c.shape.items)
	c.have("energy_kwh", f.EnergyKWh != 0, strconv.FormatInt(f.EnergyKWh, 10), c.shape.energy)
	if f.Items < 0 {
		c.add(RuleAmountNegative, "items", strconv.FormatInt(f.Items, 10), "")
	}
	if f.Items > MaxItems {
		c.add(RuleItemsAboveLimit, "items", strconv.FormatInt(f.Items, 10), "")
	}
	if f.EnergyKWh < 0 {
		c.add(RuleAmountNegative, "energy_kwh", strconv.FormatInt(f.EnergyKWh, 10), "")
	}
	if f.EnergyKWh > MaxEnergyKWh {
		c.add(RuleEnergyAboveLimit, "energy_kwh", strconv.FormatInt(f.EnergyKWh, 10), "")
	}
	if c.shape.outputs == never {
		return
	}
	if len(f.Outputs) > MaxOutputs {
		c.add(RuleOutputsTooMany, "outputs", strconv.Itoa(len(f.Outputs)), "")
		return
	}
	var sum mass.Grams
	for i, o := range f.Outputs {
		name := fmt.Sprintf("outputs[%d]", i)
		if !slices.Contains(c.shape.roles, o.Role) {
			c.add(RuleOutputRole, name+".role", string(o.Role), fmt.Sprintf("Of %s: %s.", f.Kind, join(c.shape.roles)))
		}
		c.material(name+".material", o.Material, o.Role != RoleLoss)
		if o.Net <= 0 {
			c.add(RuleOutputMass, name+".mass.value", o.Net.String(), "")
			continue
		}
		if total, err := sum.Add(o.Net); err != nil {
			sum = MaxTotal + 1 // beyond what any input can be
		} else {
			sum = total
		}
	}
	if sum > f.Mass.Net && f.Tags[AddedTag] == "" {
		c.add(RuleOutputsExceed, "outputs", sum.String(), fmt.Sprintf("Input: %s.", f.Mass.Net))
	}
}
