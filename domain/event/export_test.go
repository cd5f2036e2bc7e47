package event

import "reflect"

// FieldsOf lists the names of the fields that a payload type has, at any
// depth that every sample can fill: those of whole facts inside other events
// are left out, since no kind has them all.
func FieldsOf(typ string) []string {
	var names []string
	for _, v := range versions() {
		if v.name == typ {
			collect(reflect.TypeOf(v.new()).Elem(), &names)
		}
	}
	return names
}

func collect(t reflect.Type, names *[]string) {
	for _, f := range fieldsOf(t) {
		*names = append(*names, f.name)
		if sub, ok := structOf(f.typ); ok && sub != reflect.TypeFor[FactV1]() {
			collect(sub, names)
		}
	}
}
