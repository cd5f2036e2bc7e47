package sink

import (
	"cmp"
	"slices"

	"github.com/google/uuid"
)

// End is where the segments of a level end; 0 when there are none.
func End(segments []Segment, level uint8) uint64 {
	var end uint64
	for _, s := range segments {
		if s.Level == level {
			end = max(end, s.To)
		}
	}
	return end
}

// NextMerge picks the segments that the next larger segment sums up, the
// lowest level first: fanIn consecutive ones that no larger one covers yet.
// Nil when there are not enough. Like the bounds of level 0, it is a pure
// function of what is there, so that two writers merge alike.
func NextMerge(segments []Segment, fanIn int) []Segment {
	if fanIn < 2 {
		return nil
	}
	for level := uint8(0); level < MaxLevel; level++ {
		covered := End(segments, level+1)
		var free []Segment
		for _, s := range segments {
			if s.Level == level && s.To > covered {
				free = append(free, s)
			}
		}
		slices.SortFunc(free, func(a, b Segment) int { return cmp.Compare(a.To, b.To) })
		free = slices.CompactFunc(free, func(a, b Segment) bool { return a.To == b.To })
		if len(free) >= fanIn {
			return free[:fanIn]
		}
	}
	return nil
}

// MaxLevel is the highest level of segments.
const MaxLevel = 8

// Merged is the segment that sums up consecutive children; Rows is the
// caller's to fill.
func Merged(children []Segment, build uuid.UUID) Segment {
	s := Segment{From: children[0].From, To: children[len(children)-1].To, Level: children[0].Level + 1, Build: build}
	for _, c := range children {
		s.Facts += c.Facts
	}
	return s
}

// Cover picks the segments that cover (0, watermark] exactly once, as few as
// there can be, none beyond committed; the watermark is the end of the last.
func Cover(segments []Segment, committed uint64) []Segment {
	var cover []Segment
	var at uint64
	for {
		var next Segment
		for _, s := range segments {
			if s.From == at && s.To > at && s.To <= committed && s.To > next.To {
				next = s
			}
		}
		if next.To == 0 {
			return cover
		}
		cover = append(cover, next)
		at = next.To
	}
}
