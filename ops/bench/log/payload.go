//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

const (
	eventType      = "dk.stofstrom.flow.received.v1"
	readBytes      = 394 // of an event that the log is measured with
	watermillBytes = 450 // of a Watermill message, as elsewhere measured
)

// payload is a flow event of exactly so many bytes, in the shape of the
// product's own. What differs from event to event in reality differs here:
// numbers, times, masses; the length is made by a consignment number of random
// digits, which no compression makes small, and not by blanks.
func payload(n, size int) []byte {
	rng := rand.New(rand.NewPCG(uint64(n), 394)) //nolint:gosec // test data
	net := 1_000_000 + rng.IntN(27_000_000)
	tare := 8_000_000 + rng.IntN(4_000)*1000
	head := fmt.Sprintf(`{"identity":{"reporter":"facility-%03d","source":"weighbridge","external_id":"T-%08d"},`+
		`"facility":"dk-p-10034%05d","occurred":"2026-01-%02dT%02d:%02d:%02d+01:00",`+
		`"material":{"waste":"%s","form":"solid"},"mass":{"net_g":%d,"gross_g":%d,"tare_g":%d,"method":"weighed"},`+
		`"operation":"%s","origin":{"area":"dk-0%03d","sector":"household"},"consignment":"`,
		n%200, n, rng.IntN(900), 1+rng.IntN(28), rng.IntN(24), rng.IntN(60), rng.IntN(60),
		pick(rng, "200301", "170904", "150106", "200108", "191212"), net, net+tare, tare,
		pick(rng, "R12", "R3", "R1", "D5"), 100+rng.IntN(98))
	data := append(make([]byte, 0, size), head...)
	for len(data) < size-2 {
		data = append(data, '0'+byte(rng.IntN(10)))
	}
	return append(data, `"}`...)
}

func pick(rng *rand.Rand, from ...string) string { return from[rng.IntN(len(from))] }

// identity makes event ids without asking the kernel for each: the client's
// time is to go into the client.
type identity struct {
	base [8]byte
	next atomic.Uint64
}

func newIdentity() *identity {
	id := &identity{}
	random := uuid.New()
	copy(id.base[:], random[:8])
	return id
}

func (i *identity) new() uuid.UUID {
	var id uuid.UUID
	copy(id[:8], i.base[:])
	binary.BigEndian.PutUint64(id[8:], i.next.Add(1))
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

// proposed are events ready to be sent; their ids are given at each use.
func proposed(first, n, size int) []esdb.EventData {
	events := make([]esdb.EventData, n)
	for i := range events {
		events[i] = esdb.EventData{
			EventType: eventType, ContentType: esdb.ContentTypeJson, Data: payload(first+i, size),
		}
	}
	return events
}
