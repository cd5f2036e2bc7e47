package analytics

import (
	"strings"

	"github.com/stofstrom/stofstrom/domain/flow"
)

// Dimension is something that flows are grouped and filtered by.
type Dimension string

// The dimensions of the flow question.
const (
	Kind            Dimension = "kind"            // kind of the fact, for example received
	Month           Dimension = "month"           // YYYY-MM in the facility's time zone; none for a period total
	Year            Dimension = "year"            // YYYY; of a period total the year it begins in
	OriginArea      Dimension = "origin_area"     // area the matter came from, by name
	OriginRegion    Dimension = "origin_region"   // region that area lies in, by name
	Facility        Dimension = "facility"        // facility whose ledger it is, by id
	FacilityName    Dimension = "facility_name"   // its name; facilities of one name are one row
	FacilityArea    Dimension = "facility_area"   // area the facility lies in, by name
	FacilityRegion  Dimension = "facility_region" // region the facility lies in, by name
	SiteCategory    Dimension = "site_category"   // what the site is, as the source says it
	WasteCode       Dimension = "waste_code"      // six digits of the EU list of waste
	WasteChapter    Dimension = "waste_chapter"   // the first two of them
	Operation       Dimension = "operation"       // R1…R13, D1…D15, NS, OF
	OperationStage  Dimension = "operation_stage" // interim, final or not_stated
	HierarchyLevel  Dimension = "hierarchy"       // level of the waste hierarchy the operation belongs to
	Fate            Dimension = "fate"            // what becomes of it, as the source says it
	notStated                 = "not_stated"      // filters the rows that have no value, on any dimension
	maxFilterValues           = 1000              // values of one dimension in one question
	maxFilterBytes            = 200               // length of one value
)

// Dimensions lists every dimension, in the order of the documentation.
func Dimensions() []Dimension {
	return []Dimension{
		Kind, Month, Year, OriginArea, OriginRegion, Facility, FacilityName, FacilityArea, FacilityRegion,
		SiteCategory, WasteCode, WasteChapter, Operation, OperationStage, HierarchyLevel, Fate,
	}
}

// Measures lists every measure that flows can be asked for.
func Measures() []flow.Measure {
	return []flow.Measure{
		flow.MeasureCollected, flow.MeasureReceived, flow.MeasureDispatched, flow.MeasureRejected, flow.MeasureSorted,
		flow.MeasureReused, flow.MeasureRecycled, flow.MeasureIncinerated, flow.MeasureLandfilled, flow.MeasureExported,
	}
}

func kinds() []flow.Kind {
	return []flow.Kind{
		flow.Collected, flow.Received, flow.Dispatched, flow.Rejected, flow.Sorted, flow.Reused, flow.Recycled,
		flow.Incinerated, flow.Landfilled, flow.Exported, flow.StockCounted, flow.PeriodReported,
	}
}

// columns names the columns that a dimension adds to a row: its own, and what
// stands beside it.
func (d Dimension) columns() []string {
	switch d {
	case OriginArea, OriginRegion, FacilityArea, FacilityRegion:
		return []string{string(d), string(d) + "_id"}
	case Month:
		return []string{string(d), "period"}
	case Kind, Year, Facility, FacilityName, SiteCategory, WasteCode, WasteChapter, Operation, OperationStage, HierarchyLevel, Fate:
	}
	return []string{string(d)}
}

func join[S ~string](list []S) string {
	texts := make([]string, len(list))
	for i, s := range list {
		texts[i] = string(s)
	}
	return strings.Join(texts, ", ")
}
