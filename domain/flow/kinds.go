package flow

import (
	"github.com/stofstrom/stofstrom/domain/operation"
)

// need tells whether a kind of fact has a field.
type need uint8

const (
	never  need = iota // it has no meaning there
	may                // it can be stated
	always             // it must be stated
)

// shape is which fields a kind of fact has, beside identity, facility,
// material, mass, site category and tags, which all kinds have.
type shape struct {
	period     need // period and measure, instead of a time
	operation  need
	originArea bool // the area of the origin must be stated
	origin     need
	target     need // at least an area or a facility
	fate       need
	document   need // consignment
	rejects    need
	outputs    need
	items      need // and displaces
	energy     need
	operations func(operation.Code) bool // nil: all
	roles      []OutputRole              // of outputs
	here       bool                      // whether the operation is carried out at the facility itself
	byRoad     bool                      // whether it is a load on one vehicle
}

// shapeOf is the shape of a kind; ok is false for kinds that do not exist.
func shapeOf(k Kind) (shape, bool) {
	switch k {
	case Collected:
		return shape{operation: may, originArea: true, origin: may, fate: may, document: may, here: true, byRoad: true}, true
	case Received:
		return shape{operation: may, origin: may, fate: may, document: may, here: true, byRoad: true}, true
	case Dispatched, Exported:
		return shape{operation: may, origin: may, target: always, fate: may, document: may, byRoad: true}, true
	case Rejected:
		return shape{operation: may, origin: may, target: may, fate: may, document: may, rejects: always, byRoad: true}, true
	case Sorted:
		return shape{operation: may, origin: may, fate: may, document: may, outputs: always, operations: sorting, here: true,
			roles: []OutputRole{RoleOutput, RoleResidue, RoleLoss}}, true
	case Reused:
		return shape{operation: may, origin: may, target: may, fate: may, document: may, outputs: may, items: may,
			operations: reuse, here: true, roles: []OutputRole{RoleOutput, RoleResidue, RoleLoss}}, true
	case Recycled:
		return shape{operation: always, origin: may, fate: may, document: may, outputs: may, operations: recycling, here: true,
			roles: []OutputRole{RoleOutput, RoleResidue, RoleLoss}}, true
	case Incinerated:
		return shape{operation: always, origin: may, fate: may, document: may, outputs: may, energy: may, operations: incineration,
			here: true, roles: []OutputRole{RoleBottomAsh, RoleFlyAsh, RoleMetals, RoleResidue, RoleLoss}}, true
	case Landfilled:
		return shape{operation: always, origin: may, fate: may, document: may, operations: landfill, here: true}, true
	case StockCounted:
		return shape{}, true
	case PeriodReported:
		return shape{period: always, operation: may, origin: may, target: may, fate: may, here: true}, true
	}
	return shape{}, false
}

// Which operations belong to a kind of treatment. NS and OF are never refused.

func recycling(c operation.Code) bool { // R2 to R11
	n, recovery, ok := c.Number()
	return ok && recovery && n >= 2 && n <= 11
}

func incineration(c operation.Code) bool { return c == "R1" || c == "D10" }

func landfill(c operation.Code) bool { // D1 to D12
	n, recovery, ok := c.Number()
	return ok && !recovery && n <= 12
}

func reuse(c operation.Code) bool { // any recovery but burning
	n, recovery, ok := c.Number()
	return ok && recovery && n >= 2
}

// sorting is any operation but burning: it prepares for all others (R12,
// D13), or is the first step of one.
func sorting(c operation.Code) bool {
	_, _, ok := c.Number()
	return ok && c != "R1" && c != "D10" && c != "D11"
}

// finalThermalOrLandfill tells whether an operation ends at an incinerator or
// a landfill for good.
func finalThermalOrLandfill(c operation.Code) bool {
	switch c {
	case "R1", "D1", "D2", "D3", "D4", "D5", "D6", "D7", "D10", "D11", "D12":
		return true
	default:
		return false
	}
}
