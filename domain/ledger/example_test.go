package ledger_test

import (
	"fmt"
	"time"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/domain/mass"
)

// A ticket is reported, reported again, reported otherwise, and corrected.
func ExampleDecide() {
	copenhagen := time.FixedZone("CET", 3600)
	reportedAt := time.Date(2024, 3, 5, 15, 0, 0, 0, copenhagen)
	ticket := func(net mass.Grams) flow.Fact {
		return flow.Fact{Kind: flow.Received, Facility: "dk-p-1003412345",
			Identity: flow.Identity{Reporter: "dk-p-1003412345", Source: "weighbridge", ExternalID: "42"},
			When:     flow.When{Occurred: time.Date(2024, 3, 5, 9, 0, 0, 0, time.UTC)},
			Material: flow.Material{Waste: "200301"},
			Mass:     flow.Mass{Net: net, Method: flow.Weighed}}
	}
	key := ledger.KeyOf(ticket(0), copenhagen)
	fmt.Println(key.Stream())
	state := ledger.NewState(key)
	say := func(c ledger.Command) {
		d, err := ledger.Decide(state, c, reportedAt)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, e := range d.Events { // appended to the log, then applied
			if err := state.Apply(e); err != nil {
				fmt.Println(err)
			}
		}
		fmt.Println(d.Status, len(d.Events), "revision", d.Revision)
	}
	say(ledger.Record{Fact: ticket(5 * mass.OneTonne)})
	say(ledger.Record{Fact: ticket(5 * mass.OneTonne)})
	say(ledger.Record{Fact: ticket(6 * mass.OneTonne)})
	say(ledger.Correct{Fact: ticket(6 * mass.OneTonne), Reason: "typed wrong"})
	fmt.Println(state.Stock()[0].Net)
	// Output:
	// ledger-dk-p-1003412345-202403
	// recorded 1 revision 1
	// already_recorded 0 revision 1
	// the fact "42" of "weighbridge" by "dk-p-1003412345" is recorded with other content in ledger-dk-p-1003412345-202403: mass.value: The same identity is recorded with other content; a correction needs a reason. Recorded: "5.000000 t", given: "6.000000 t". (rule identity-conflict, value "6.000000 t")
	// corrected 1 revision 2
	// 6.000000 t
}

// The auditor computes a ledger's digest from the bytes of the log alone.
func ExampleDigester() {
	e := event.WithID(event.Recorded{Revision: 1, Fact: load("1", 5*t1)})
	p, err := event.Encode(e)
	if err != nil {
		fmt.Println(err)
		return
	}
	var d ledger.Digester
	d.Add(p.ID, p.Type, p.Data)
	digest, events := d.Sum()
	fmt.Println(digest[:16], events)
	// Output:
	// b48448b496abbf65 1
}
