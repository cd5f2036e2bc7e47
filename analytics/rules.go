package analytics

import (
	"fmt"
	"slices"
)

// Ids of the rule sets that answers can be made with. An id that stands in an
// answer never changes its meaning.
const (
	ruleMeasures   = "measures/v1"                         // which fact counts towards which measure (package flow)
	ruleWasteList  = "waste-list/2014-955-eu"              // chapters and codes
	ruleOperations = "operations/2008-98-ec-annex-1-2"     // codes and their stage
	ruleHierarchy  = "waste-hierarchy/2008-98-ec-art-4-v1" // level of an operation
)

// rules names the rule sets that a question needs, registers with the position
// of their last entry. The answer is made anew only when one of them changes.
func (p *plan) rules() []string {
	uses := func(any ...Dimension) bool {
		return p.by(any...) || slices.ContainsFunc(any, func(d Dimension) bool { return len(p.query.Filters[d]) > 0 })
	}
	ids := []string{ruleMeasures}
	if uses(WasteCode, WasteChapter) {
		ids = append(ids, ruleWasteList)
	}
	if uses(Operation, OperationStage) {
		ids = append(ids, ruleOperations)
	}
	if uses(HierarchyLevel) {
		ids = append(ids, ruleHierarchy)
	}
	if uses(OriginArea, OriginRegion, Facility, FacilityName, FacilityArea, FacilityRegion) {
		ids = append(ids, fmt.Sprintf("register/position-%d", p.register.changed))
	}
	slices.Sort(ids)
	return ids
}
