//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// sample is what one slice of time brought.
type sample struct {
	events         int
	took           time.Duration
	client, server time.Duration // CPU time
}

func (s sample) rate() float64 { return float64(s.events) / s.took.Seconds() }

// side is one of the two systems that a ratio compares.
type side struct {
	server *child
	// run works until the time is over, or its work is done, and returns how
	// many events that were. Setting up does not belong in it.
	run func(ctx context.Context, limit time.Duration) (int, error)
}

// slice measures a side once.
func (s *side) slice(ctx context.Context, limit time.Duration) (sample, error) {
	server, err := s.server.usage()
	if err != nil {
		return sample{}, err
	}
	client, err := ownUsage()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	n, err := s.run(ctx, limit)
	if err != nil {
		return sample{}, fmt.Errorf("%s server: %w", s.server.kind, err)
	}
	took := time.Since(began)
	clientAfter, err := ownUsage()
	if err != nil {
		return sample{}, err
	}
	serverAfter, err := s.server.usage()
	if err != nil {
		return sample{}, err
	}
	if n <= 0 {
		return sample{}, fmt.Errorf("%s server: no event within %s", s.server.kind, took)
	}
	return sample{events: n, took: took, client: clientAfter.CPU - client.CPU, server: serverAfter.CPU - server.CPU}, nil
}

// totals of all slices of a side.
type totals struct {
	rate           float64 // events a second
	client, server float64 // CPU-µs per event
}

func sum(samples []sample) totals {
	var all sample
	for _, s := range samples {
		all.events += s.events
		all.took += s.took
		all.client += s.client
		all.server += s.server
	}
	perEvent := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(all.events) }
	return totals{rate: all.rate(), client: perEvent(all.client), server: perEvent(all.server)}
}

// comparison of a system with the one it is measured against.
type comparison struct {
	reference, ours        totals
	ratio, lowest, highest float64 // of the rates, pair by pair: the median, and the extremes
}

// cpuRatio is what the ratio of the rates would be if CPU time were all that
// either side waits for: client and server together, per event. It moves far
// less with a machine's other work than the rates do.
func (c comparison) cpuRatio() float64 {
	return (c.reference.client + c.reference.server) / (c.ours.client + c.ours.server)
}

// compare measures the two in alternating slices, and which of them comes
// first alternates as well. A first slice of each is not counted: in it
// connections are made and caches fill.
func compare(ctx context.Context, o *options, name string, reference, ours *side) (comparison, error) {
	sides := [2]*side{reference, ours}
	for _, s := range sides {
		if _, err := s.slice(ctx, o.slice/4); err != nil {
			return comparison{}, err
		}
	}
	profiled := o.profile != ""
	if profiled {
		if err := ours.server.startProfile(filepath.Join(o.profile, name+".pprof")); err != nil {
			return comparison{}, err
		}
	}
	var samples [2][]sample
	ratios := make([]float64, o.rounds)
	for round := range o.rounds {
		for k := range sides {
			i := (k + round) % 2
			s, err := sides[i].slice(ctx, o.slice)
			if err != nil {
				return comparison{}, err
			}
			samples[i] = append(samples[i], s)
		}
		ratios[round] = samples[1][round].rate() / samples[0][round].rate()
	}
	if profiled {
		if err := ours.server.endProfile(); err != nil {
			return comparison{}, err
		}
	}
	slices.Sort(ratios)
	return comparison{
		reference: sum(samples[0]), ours: sum(samples[1]),
		ratio: ratios[len(ratios)/2], lowest: ratios[0], highest: ratios[len(ratios)-1],
	}, nil
}
