//go:build linux

// Command log measures the event log.
//
// What it is: one client process that drives, in alternating slices of time,
// the embedded node with fsync, a no-op server with the protocol's own stubs
// (the most that the official client and gRPC allow on the machine), and, for
// Watermill, a JetStream server of equal durability. Each server is a child
// process of this same program, so that its CPU time can be told from the
// client's.
//
// What it promises: both sides of a ratio met the same noise, since slices of
// the two alternate and a ratio is the median over pairs of neighbours; every
// answer is checked for the number of events it should have; folders that do
// not survive a power cut (tmpfs) are refused.
//
// What it leaves out: networks, several clients, machines other than Linux.
// Method and numbers: docs/bench/log.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

// options of a run, from the command line.
type options struct {
	short   bool
	strict  bool
	dir     string
	only    string
	match   *regexp.Regexp // rows to measure
	profile string
	open    int
	serve   string // what a child process serves; see serve.go
	data    string // its folder
	events  int    // how many events it has, or makes

	slice    time.Duration // of one measurement of a rate
	rounds   int           // pairs of slices
	readable int           // events of a read
	stored   int           // events of the measurement of space
	messages int           // most messages of a Watermill subscription
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench log:", err)
		os.Exit(1)
	}
}

func parse(args []string) (*options, error) {
	o := &options{match: regexp.MustCompile("")}
	flags := flag.NewFlagSet("log", flag.ContinueOnError)
	flags.BoolVar(&o.short, "short", false, "short slices, small data: a minute or two; numbers are rougher")
	flags.BoolVar(&o.strict, "strict", false, "exit with 1 if a goal is missed")
	flags.StringVar(&o.dir, "dir", os.TempDir(), "folder for the data, on the disk to measure; what is made there is deleted")
	flags.StringVar(&o.only, "only", "append,read,watermill,space", "parts to measure, of these, by commas")
	flags.Func("match", "regular expression; measure only rows whose name it matches", func(text string) (err error) {
		o.match, err = regexp.Compile(text)
		return err
	})
	flags.StringVar(&o.profile, "profile", "", "folder for CPU profiles of the node, one per measurement")
	flags.IntVar(&o.open, "open", 0, "instead of rates: make a store of so many events and measure opening it")
	flags.StringVar(&o.serve, "serve", "", "what this process serves as a child of another: noop, node, nats, make")
	flags.StringVar(&o.data, "data", "", "data folder of a child")
	flags.IntVar(&o.events, "events", 0, "events of a child")
	flags.DurationVar(&o.slice, "slice", 0, "length of one slice (default 2s, short 500ms)")
	flags.IntVar(&o.rounds, "rounds", 0, "pairs of slices (default 5, short 3)")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("argument %q: only flags are known", flags.Arg(0))
	}
	if o.slice < 0 || o.rounds < 0 || o.open < 0 {
		return nil, fmt.Errorf("-slice %s, -rounds %d, -open %d: none may be negative", o.slice, o.rounds, o.open)
	}
	slice, rounds := 2*time.Second, 5
	o.readable, o.stored, o.messages = 200_000, 1_000_000, 50_000
	if o.short {
		slice, rounds = 500*time.Millisecond, 3
		o.readable, o.stored, o.messages = 50_000, 200_000, 10_000
	}
	if o.slice == 0 {
		o.slice = slice
	}
	if o.rounds == 0 {
		o.rounds = rounds
	}
	return o, nil
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.serve != "" {
		return serve(ctx, o, os.Stdin, out)
	}
	work, err := os.MkdirTemp(o.dir, "stofstrom-bench-log-")
	if err != nil {
		return fmt.Errorf("folder for the data: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := refuseMemory(work); err != nil {
		return err
	}
	report := &report{out: out}
	if err := printMachine(report, work); err != nil {
		return err
	}
	if o.open > 0 {
		err = measureOpen(ctx, o, work, report)
	} else {
		err = measureRates(ctx, o, work, report)
	}
	if err != nil {
		return err
	}
	return report.end(o.strict)
}

// measureRates runs the chosen parts one after the other, each over servers
// and folders of its own.
func measureRates(ctx context.Context, o *options, work string, r *report) error {
	parts := []struct {
		name string
		run  func(context.Context, *options, string, *report) error
	}{
		{"append", measureAppends},
		{"read", measureReads},
		{"watermill", measureWatermill},
		{"space", measureSpace},
	}
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if !chosen[p.name] {
			continue
		}
		dir, err := os.MkdirTemp(work, p.name+"-")
		if err != nil {
			return err
		}
		if err := p.run(ctx, o, dir, r); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		runtime.GC() // one part's garbage is not the next one's CPU time
	}
	return nil
}
