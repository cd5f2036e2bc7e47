package analytics

import "slices"

// idFilter is a condition on ids, as lists that can be bound to a statement.
// At most one of the two lists is not empty; none keeps everything.
type idFilter struct {
	keep, drop []string
	nothing    bool // no id can pass
}

// filterOf makes the lists of a condition. known are the ids of the register;
// of every other id accept("") tells, since no name is known of them.
func filterOf(known []string, accept func(id string) bool) idFilter {
	var f idFilter
	others := accept("")
	for _, id := range known {
		switch {
		case accept(id) == others:
		case others:
			f.drop = append(f.drop, id)
		default:
			f.keep = append(f.keep, id)
		}
	}
	f.nothing = !others && len(f.keep) == 0
	slices.Sort(f.keep)
	slices.Sort(f.drop)
	return f
}

func (f idFilter) size() int { return sizeOf(f.keep) + sizeOf(f.drop) }

// sizeOf is the length of a list of ids as text, in bytes: each in quotes, and
// a comma.
func sizeOf(ids []string) (bytes int) {
	for _, id := range ids {
		bytes += len(id) + len("'',")
	}
	return bytes
}

// groups numbers what ids have in common, from 1; group 0 is all the rest.
type groups[T comparable] struct {
	ids     []string
	numbers []uint32
	shared  []T // by number; the first is the zero T
}

// groupsOf puts every id with the same of(id) in one group. Ids whose of(id)
// is the zero T stay in group 0.
func groupsOf[T comparable](known []string, of func(id string) T) groups[T] {
	var zero T
	g := groups[T]{shared: []T{zero}}
	number := map[T]uint32{zero: 0}
	known = slices.Sorted(slices.Values(known))
	for _, id := range known {
		has := of(id)
		n, ok := number[has]
		if !ok {
			n = uint32(len(g.shared)) //nolint:gosec // fewer groups than ids, and those are bounded by MaxBoundBytes
			number[has] = n
			g.shared = append(g.shared, has)
		}
		if n != 0 {
			g.ids = append(g.ids, id)
			g.numbers = append(g.numbers, n)
		}
	}
	return g
}
