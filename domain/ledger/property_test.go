package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// legs adds the mass of an event, signed, as a reader of the log would who
// knows nothing of ledgers: what is recorded comes in, what changes goes out
// as it was and comes in as it is, and an arrival carries nothing.
func legs(e event.Event) mass.Grams {
	switch e := e.(type) {
	case event.Recorded:
		return e.Fact.Mass.Net
	case event.Corrected:
		return e.Is.Mass.Net - e.Was.Mass.Net
	case event.Moved:
		return e.Is.Mass.Net - e.Was.Mass.Net
	case event.Cancelled:
		return -e.Was.Mass.Net
	case event.Arrived, event.LedgerClosed, event.FacilityRegistered, event.AreaRegistered:
	}
	return 0
}

// world is two ledgers of one facility under random commands.
type world struct {
	index  map[flow.Identity]ledger.Key // one identity, one place: as intake's index leads commands
	months map[string]*ledger.State
	logs   map[string][]event.Event
}

func (w *world) do(t *testing.T, k ledger.Key, c ledger.Command) (ledger.Decision, bool) {
	t.Helper()
	s := w.months[k.Period]
	d, err := ledger.Decide(s, c, now)
	if err != nil {
		var f *fault.Fault
		require.True(t, errors.As(err, &f) && f.Kind != fault.Internal, "%T: %v", c, err)
		return d, false
	}
	if d.Status == ledger.StatusAlreadyRecorded {
		require.Empty(t, d.Events)
	} else {
		require.Len(t, d.Events, 1)
	}
	for _, e := range d.Events {
		p, err := event.Encode(e)
		require.NoError(t, err)
		back, err := event.Decode(p.Type, p.Data)
		require.NoError(t, err)
		require.NoError(t, s.Apply(back), "%T", c)
		w.logs[k.Period] = append(w.logs[k.Period], back)
	}
	return d, true
}

func TestRandomCommandsKeepEveryGram(t *testing.T) {
	keys := []ledger.Key{february, march}
	statuses := map[ledger.Status]int{}
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 7))
		w := &world{index: map[flow.Identity]ledger.Key{}, months: map[string]*ledger.State{"202402": ledger.NewState(february), "202403": ledger.NewState(march)}, logs: map[string][]event.Event{}}
		var moving flow.Identity // of a move that was killed before its arrival
		inFlight := func() {}
		for range 120 {
			f := randomFact(rng)
			other := randomFact(rng).Identity
			if f.Identity == moving || other == moving {
				inFlight() // the index leads to the other ledger only when the move is finished
			}
			k, known := w.index[f.Identity]
			if !known {
				k = keys[rng.IntN(2)]
			}
			f = inMonth(f, k, rng)
			var c ledger.Command
			switch rng.IntN(12) {
			case 0, 1, 2, 3:
				c = ledger.Record{Fact: f}
			case 4, 5:
				c = ledger.Correct{Fact: f, Reason: "c"}
			case 6:
				c = ledger.Cancel{Identity: f.Identity, Reason: "c"}
			case 7, 8:
				c = ledger.Replace{Fact: f, Replaces: other, Reason: "r"}
			case 9:
				c = ledger.Replace{Fact: f, Reason: "r"}
			case 10:
				inFlight() // one at a time
				to := keys[0]
				if k == to {
					to = keys[1]
				}
				m := ledger.Move{Fact: inMonth(f, to, rng), To: to, Reason: "m"}
				if d, ok := w.do(t, k, m); ok {
					statuses[d.Status]++
					moving, inFlight = f.Identity, func() {
						_, ok := w.do(t, to, ledger.ArriveAfter(m, k, d))
						require.True(t, ok)
						w.index[f.Identity] = to
						moving, inFlight = flow.Identity{}, func() {}
					}
				}
				continue
			case 11:
				inFlight()
				c = ledger.Close{Digest: fmt.Sprintf("%064x", seed), Events: w.months[k.Period].Events()}
				if rng.IntN(20) > 0 {
					continue
				}
			}
			if d, ok := w.do(t, k, c); ok {
				statuses[d.Status]++
				if !ledger.Subject(c).IsZero() {
					w.index[f.Identity] = k
				}
			}
		}
		inFlight()
		w.check(t)
	}
	for _, s := range []ledger.Status{ledger.StatusRecorded, ledger.StatusAlreadyRecorded, ledger.StatusCorrected, ledger.StatusCancelled, ledger.StatusMoved, ledger.StatusClosed} {
		require.Greater(t, statuses[s], 20, "the commands reach %s", s)
	}
}

// check compares the states with what the logs say.
func (w *world) check(t *testing.T) {
	t.Helper()
	var live, signed mass.Grams
	seen := map[string]bool{}
	for month, s := range w.months {
		again := ledger.NewState(s.Key())
		for _, e := range w.logs[month] {
			require.NoError(t, again.Apply(e))
			require.False(t, seen[e.EventID().String()], "an id twice")
			seen[e.EventID().String()] = true
			signed += legs(e)
		}
		requireSame(t, s, again)
		n := 0
		stock := map[flow.Material]mass.Grams{}
		for f := range s.Facts {
			n++
			live += f.Mass.Net
			switch f.Kind {
			case flow.Received:
				stock[f.Material] += f.Mass.Net
			case flow.Dispatched:
				stock[f.Material] -= f.Mass.Net
			default:
				t.Fatal(f.Kind)
			}
		}
		require.Equal(t, s.Live(), n)
		for _, l := range s.Stock() {
			require.Equal(t, stock[l.Material], l.Net)
			delete(stock, l.Material)
		}
		for m, g := range stock {
			require.Zero(t, g, m)
		}
	}
	require.Equal(t, live, signed, "what lives is what the log's legs add up to")
}

func randomFact(rng *rand.Rand) flow.Fact {
	f := load(fmt.Sprint(rng.IntN(8)), mass.Grams(1+rng.IntN(3))*t1)
	if rng.IntN(3) == 0 {
		f.Kind = flow.Dispatched
		f.Target.Area = "de"
	}
	if rng.IntN(3) == 0 {
		f.Material.Waste = "170504"
	}
	return f
}

// inMonth is the fact on one of two days of a ledger's month.
func inMonth(f flow.Fact, k ledger.Key, rng *rand.Rand) flow.Fact {
	month := time.March
	if k == february {
		month = time.February
	}
	f.When.Occurred = time.Date(2024, month, 5+rng.IntN(2), 9, 0, 0, 0, time.UTC)
	return f
}

func TestAStateIsCompactAndSaysSo(t *testing.T) {
	for _, n := range []int{1, 10, 100, 1000} {
		const facts = 5_000
		states := make([]*ledger.State, facts/n)
		before := heap()
		var size int64
		for i := range states {
			s := ledger.NewState(march)
			for j := range n {
				f := load(fmt.Sprintf("ticket-%d-%d", i, j), mass.Grams(j+1))
				f.Origin.Area, f.Operation, f.Fate = "dk-0101", "R12", "Recovery"
				f.Tags = map[string]string{"permit_type": "A11 : Household", "facility_type": "Haz Waste Transfer"}
				d, err := ledger.Decide(s, ledger.Record{Fact: f}, now)
				require.NoError(t, err)
				require.NoError(t, s.Apply(d.Events[0]))
			}
			states[i] = s
			size += s.Size()
		}
		held := heap() - before
		require.InEpsilon(t, held, size, 0.4, "Size is about what %d facts a ledger really take: %d bytes a fact", n, held/facts)
		if n >= 100 {
			require.Less(t, held/facts, int64(350), "bytes a fact")
		}
		runtime.KeepAlive(states)
	}
}

// heap is what lives on the heap, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkDecideAndApply(b *testing.B) {
	s := ledger.NewState(march)
	f := load("", 5*t1)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		f.Identity.ExternalID = fmt.Sprint(i)
		d, err := ledger.Decide(s, ledger.Record{Fact: f}, now)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Apply(d.Events[0]); err != nil {
			b.Fatal(err)
		}
	}
}
