package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/domain/mass"
)

var (
	march    = ledger.Key{Facility: "dk-p-1003412345", Period: "202403"}
	february = ledger.Key{Facility: "dk-p-1003412345", Period: "202402"}
	totals   = ledger.Key{Facility: "dk-p-1003412345", Period: "2024"}
	now      = time.Date(2024, 4, 10, 12, 0, 0, 0, time.UTC)
)

// load is a reception of mixed waste in March.
func load(id string, net mass.Grams) flow.Fact {
	return flow.Fact{Kind: flow.Received, Facility: march.Facility,
		Identity: flow.Identity{Reporter: "dk-p-1003412345", Source: "weighbridge", ExternalID: id},
		When:     flow.When{Occurred: time.Date(2024, 3, 5, 9, 0, 0, 0, time.UTC)},
		Material: flow.Material{Waste: "200301"}, Mass: flow.Mass{Net: net, Method: flow.Weighed}}
}

func kind(f flow.Fact, k flow.Kind) flow.Fact {
	f.Kind = k
	return f
}

// scenario is given / when / then over a ledger: events of commands that came
// before, a command, and what must follow.
type scenario struct {
	t     *testing.T
	state *ledger.State
	log   []event.Event
	now   time.Time
	got   ledger.Decision
	err   error
}

func given(t *testing.T, key ledger.Key, commands ...ledger.Command) *scenario {
	t.Helper()
	s := &scenario{t: t, state: ledger.NewState(key), now: now}
	return s.and(commands...)
}

// and lets further commands happen, each of which must be accepted.
func (s *scenario) and(commands ...ledger.Command) *scenario {
	s.t.Helper()
	for _, c := range commands {
		s.when(c)
		require.NoError(s.t, s.err, "%#v", c)
	}
	return s
}

// when decides a command and applies what follows from it.
func (s *scenario) when(c ledger.Command) *scenario {
	s.t.Helper()
	before := s.state.Size()
	s.got, s.err = ledger.Decide(s.state, c, s.now)
	require.Equal(s.t, before, s.state.Size(), "deciding changes nothing")
	if s.err != nil {
		require.Zero(s.t, s.got)
		return s
	}
	for _, e := range s.got.Events {
		p, err := event.Encode(e)
		require.NoError(s.t, err)
		back, err := event.Decode(p.Type, p.Data) // the state is folded from the log alone
		require.NoError(s.t, err)
		require.NoError(s.t, s.state.Apply(back))
		s.log = append(s.log, back)
	}
	return s
}

// then checks what followed, ids and positions aside.
func (s *scenario) then(status ledger.Status, events ...event.Event) *scenario {
	s.t.Helper()
	require.NoError(s.t, s.err)
	require.Equal(s.t, status, s.got.Status)
	ids := cmpopts.IgnoreFields(event.Recorded{}, "ID")
	more := []cmp.Option{ids, cmpopts.IgnoreFields(event.Corrected{}, "ID", "FactID", "Corrects"),
		cmpopts.IgnoreFields(event.Cancelled{}, "ID", "FactID", "Cancels"), cmpopts.IgnoreFields(event.Moved{}, "ID", "FactID", "Corrects"),
		cmpopts.IgnoreFields(event.Arrived{}, "ID", "FactID", "Moved"), cmpopts.IgnoreFields(event.LedgerClosed{}, "ID"),
		cmpopts.EquateEmpty(), cmpopts.IgnoreFields(fault.Violation{}, "Message", "Field", "Value")}
	require.Empty(s.t, cmp.Diff(events, s.got.Events, more...))
	return s
}

// refused checks the kind and the rule of a refusal, and gives it.
func (s *scenario) refused(kind fault.Kind, rule string) *fault.Fault {
	s.t.Helper()
	var f *fault.Fault
	require.True(s.t, errors.As(s.err, &f), "got %v, %+v", s.err, s.got)
	require.Equal(s.t, kind, f.Kind, f.Error())
	require.NotEmpty(s.t, f.Violations)
	require.Equal(s.t, rule, f.Violations[0].Rule)
	return f
}

// replayed checks that the log alone gives the same state.
func (s *scenario) replayed() {
	s.t.Helper()
	again := ledger.NewState(s.state.Key())
	for _, e := range s.log {
		require.NoError(s.t, again.Apply(e))
	}
	requireSame(s.t, s.state, again)
}

func requireSame(t *testing.T, a, b *ledger.State) {
	t.Helper()
	require.Equal(t, summary(a), summary(b))
}

// summary is everything a state can be asked.
func summary(s *ledger.State) string {
	facts := map[string]flow.Fact{}
	for f := range s.Facts {
		facts[f.Identity.ExternalID] = f
	}
	out := fmt.Sprintf("%v %d %d %v %v\n", s.Key(), s.Events(), s.Live(), s.Closed(), s.Stock())
	for i := range 50 {
		id := flow.Identity{Reporter: "dk-p-1003412345", Source: "weighbridge", ExternalID: fmt.Sprint(i)}
		if e, ok := s.Lookup(id); ok {
			out += fmt.Sprintf("%d %+v %+v\n", i, e, facts[fmt.Sprint(i)])
		}
	}
	return out
}
