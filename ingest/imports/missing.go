package imports

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/event"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/domain/ledger"
	"github.com/stofstrom/stofstrom/ingest/intake"
)

// lacking reports the recorded rows that a keyless file lacks: cancelled when
// replacement was asked for, missing otherwise.
func (r *run) lacking(ctx context.Context) error {
	if !r.bound.Keyless() {
		return nil
	}
	f, err := os.Open(filepath.Join(r.dir, missingFile))
	if err != nil {
		return fmt.Errorf("open list of missing rows: %w", err)
	}
	defer func() { r.note(f.Close()) }()
	described, err := r.describe(ctx, f)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read list of missing rows: %w", err)
	}
	src := bufio.NewReader(f)
	if _, err := io.CopyN(io.Discard, src, r.report.others*missingSize); err != nil {
		return fmt.Errorf("read list of missing rows: %w", err)
	}
	rec := make([]byte, missingSize)
	for end := false; !end; {
		var lines []Line
		for len(lines) < r.m.cfg.BatchRows {
			if _, err := io.ReadFull(src, rec); errors.Is(err, io.EOF) {
				end = true
				break
			} else if err != nil {
				return fmt.Errorf("read list of missing rows: %w", err)
			}
			m := parseMissing(rec)
			lines = append(lines, Line{Status: LineMissing, ExternalID: m.key.ExternalID(m.ordinal), EventID: uuid.UUID(m.eventID).String(), Detail: described[m.eventID]})
		}
		switch {
		case r.man.Held:
		case r.trial != nil:
			for i := range lines {
				lines[i].Status = LineCancelled
			}
		default:
			if err := r.cancel(ctx, lines); err != nil {
				return err
			}
		}
		if len(lines) == 0 {
			break
		}
		if err := r.write(lines); err != nil {
			return err
		}
		if err := r.step(stepLacking); err != nil {
			return err
		}
	}
	return nil
}

// cancel cancels recorded rows and turns their lines into the outcome.
func (r *run) cancel(ctx context.Context, lines []Line) error {
	b := &batch{}
	for i, line := range lines {
		id := flow.Identity{Reporter: r.bound.Reporter(), Source: r.bound.Source(), ExternalID: line.ExternalID}
		b.items = append(b.items, intake.Item{Command: ledger.Cancel{Identity: id, Reason: r.man.Reason}, Meta: r.meta(0)})
		b.of, b.lines = append(b.of, i), append(b.lines, Line{})
	}
	if err := r.submit(ctx, b, nil); err != nil {
		return err
	}
	for i, got := range b.lines {
		got.ExternalID = lines[i].ExternalID
		if got.Detail == "" {
			got.Detail = lines[i].Detail
		}
		switch got.Status {
		case LineAlreadyRecorded, LineRecorded: // cancelled before a kill, or by somebody else since
			got.Status = LineCancelled
		case LineCorrected, LineConflict, LineRejected, LineNew, LineMissing, LineCancelled, LineLeft:
		}
		lines[i] = got
	}
	return nil
}

// maxDescribed bounds how many recorded rows that a file lacks are described,
// and with it the memory: about 200 bytes each.
const maxDescribed = 10_000

// describe says what the first rows of a list of missing rows are, by the event
// that recorded them: their ids are hashes, which tell nobody anything. Each
// ledger is read once.
func (r *run) describe(ctx context.Context, list io.Reader) (map[[16]byte]string, error) {
	wanted := map[string]map[[16]byte]bool{} // ledger → event ids
	src, rec := bufio.NewReader(list), make([]byte, missingSize)
	for range maxDescribed {
		if _, err := io.ReadFull(src, rec); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read list of missing rows: %w", err)
		}
		m := parseMissing(rec)
		id := flow.Identity{Reporter: r.bound.Reporter(), Source: r.bound.Source(), ExternalID: m.key.ExternalID(m.ordinal)}
		var at string
		err := r.patiently(ctx, "look a missing row up", func() error {
			entry, _, err := r.m.deps.Intake.Lookup(ctx, id)
			at = entry.Ledger
			return err
		})
		if err != nil {
			return nil, err
		}
		if wanted[at] == nil {
			wanted[at] = map[[16]byte]bool{}
		}
		wanted[at][m.eventID] = true
	}
	delete(wanted, "") // unknown to the index: nothing can be said
	described := map[[16]byte]string{}
	for at, events := range wanted {
		if err := r.patiently(ctx, "read missing rows", func() error { return r.describeIn(ctx, at, events, described) }); err != nil {
			return nil, err
		}
	}
	return described, nil
}

func (r *run) describeIn(ctx context.Context, at string, events map[[16]byte]bool, described map[[16]byte]string) error {
	for rec, err := range r.m.deps.Streams.ReadStream(ctx, at, 0) {
		if err != nil {
			return fmt.Errorf("read %s: %w", at, err)
		}
		if !events[rec.ID] {
			continue
		}
		ev, err := event.Decode(rec.Type, rec.Data)
		if err != nil {
			return fmt.Errorf("read %s, revision %d: %w", at, rec.Revision, err)
		}
		switch e := ev.(type) {
		case event.Recorded:
			described[rec.ID] = inShort(e.Fact)
		case event.Corrected:
			described[rec.ID] = inShort(e.Is)
		default: // a keyless fact is in no other
		}
	}
	return nil
}

// inShort is a fact in one line, by what people find it again with.
func inShort(f flow.Fact) string {
	words := []string{string(f.Facility)}
	if f.Material.Waste != "" {
		words = append(words, f.Material.Waste.Display())
	}
	if f.Material.Product != "" {
		words = append(words, f.Material.Product)
	}
	words = append(words, strings.TrimRight(strings.TrimRight(f.Mass.Net.Tonnes(), "0"), ".")+" t")
	switch {
	case f.Origin.Area != "":
		words = append(words, "from "+string(f.Origin.Area))
	case f.Origin.Facility != "":
		words = append(words, "from "+string(f.Origin.Facility))
	}
	return strings.Join(words, ", ")
}
