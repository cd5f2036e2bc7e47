package flow

import "slices"

// Kinds lists the kinds of fact in the order of their declaration.
func Kinds() []Kind {
	return []Kind{Collected, Received, Dispatched, Rejected, Sorted, Reused,
		Recycled, Incinerated, Landfilled, Exported, StockCounted, PeriodReported}
}

// Valid tells whether k is one of Kinds.
func (k Kind) Valid() bool { return slices.Contains(Kinds(), k) }

// Measures lists the measures that a question can ask for.
func Measures() []Measure {
	return []Measure{MeasureCollected, MeasureReceived, MeasureDispatched, MeasureRejected, MeasureSorted,
		MeasureReused, MeasureRecycled, MeasureIncinerated, MeasureLandfilled, MeasureExported}
}

// Valid tells whether m is one of Measures.
func (m Measure) Valid() bool { return slices.Contains(Measures(), m) }

// Methods lists the methods of measurement.
func Methods() []Method { return []Method{Weighed, Volume, Estimated, Declared} }

// Valid tells whether m is one of Methods.
func (m Method) Valid() bool { return slices.Contains(Methods(), m) }

// Roles lists the roles of outputs.
func Roles() []OutputRole {
	return []OutputRole{RoleOutput, RoleResidue, RoleLoss, RoleBottomAsh, RoleFlyAsh, RoleMetals}
}

// Valid tells whether r is one of Roles.
func (r OutputRole) Valid() bool { return slices.Contains(Roles(), r) }
