package index_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/eventlog"
	"github.com/stofstrom/stofstrom/domain/facility"
	"github.com/stofstrom/stofstrom/ingest/index"
)

func feed(t testing.TB, ix *index.Index, id facility.ID, after eventlog.Position) []index.Placed {
	t.Helper()
	var all []index.Placed
	for p, err := range ix.Feed(id, after) {
		require.NoError(t, err)
		all = append(all, p)
	}
	return all
}

// A facility's feed holds its own streams and nobody else's, also when an id
// is the beginning of another, in the order of the log and from any place on.
func TestTheFeedOfAFacilityIsItsOwnInTheOrderOfTheLog(t *testing.T) {
	b, ix := newBook(t), open(t, t.TempDir(), nil)
	longer := fact("s", "9", 5)
	longer.Facility = "dk-p-1-2-3"
	var followed []index.Followed
	followed = append(followed, b.write("facility-dk-p-1-2", event.WithID(event.FacilityRegistered{Revision: 1,
		Facility: facility.Facility{ID: "dk-p-1-2", Name: "n", Area: "dk-0101", TimeZone: "UTC"}, Source: "x"}))...)
	followed = append(followed, b.write(march, recorded(fact("s", "1", 5)), recorded(fact("s", "2", 5)))...)
	followed = append(followed, b.write("ledger-dk-p-1-2-3-202603", recorded(longer))...)
	followed = append(followed, b.write(february, recorded(fact("s", "3", 5)))...)
	require.NoError(t, ix.Apply(followed))

	all := feed(t, ix, "dk-p-1-2", eventlog.Position{})
	var streams []string
	for i, p := range all {
		streams = append(streams, p.Place.Stream)
		if i > 0 {
			require.Positive(t, p.Position.Compare(all[i-1].Position))
		}
		require.Equal(t, all[i+1:], append([]index.Placed{}, feed(t, ix, "dk-p-1-2", p.Position)...), "from event %d on", i)
	}
	require.Equal(t, []string{"facility-dk-p-1-2", march, march, february}, streams)
	require.Len(t, feed(t, ix, "dk-p-1-2-3", eventlog.Position{}), 1)
	require.Empty(t, feed(t, ix, "dk-p-1", eventlog.Position{}))
}

func TestWhatIsBookedElsewhereIsFoundByTheMonthItIsBookedIn(t *testing.T) {
	b, ix := newBook(t), open(t, t.TempDir(), nil)
	late := event.WithID(event.Recorded{Revision: 1, Fact: fact("s", "1", 5), BookedIn: "202604"})
	rec, ok := late.(event.Recorded)
	require.True(t, ok)
	gone := event.WithID(event.Cancelled{FactID: rec.ID, Cancels: rec.ID, Revision: 2, Reason: "r", Was: rec.Fact, BookedIn: "202605"})
	require.NoError(t, ix.Apply(b.write(march, late, recorded(fact("s", "2", 5)), gone)))
	for month, want := range map[string][]uint64{"202603": nil, "202604": {0}, "202605": {2}, "20260": nil} {
		var got []uint64
		for p, err := range ix.Booked("dk-p-1-2", month) {
			require.NoError(t, err)
			got = append(got, p.Place.Revision)
		}
		require.Equal(t, want, got, month)
	}
}
