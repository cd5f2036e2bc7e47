package runner

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// Epochs tells writers of one projection apart. Only the latest may go on.
type Epochs interface {
	// Take begins a new epoch, greater than every earlier one, and fences
	// whoever held the last. It returns once that is durable.
	Take(ctx context.Context) (uint64, error)
	// Check returns *Fenced when a later epoch was taken. Any other error
	// says that it is not known.
	Check(ctx context.Context, epoch uint64) error
}

// Fenced says that another projector took over.
type Fenced struct {
	Epoch uint64 // of the one that has to stop
	By    uint64 // the epoch that followed
}

func (e *Fenced) Error() string {
	return fmt.Sprintf("fenced: epoch %d was followed by epoch %d, another projector took over", e.Epoch, e.By)
}

// EpochStream is the stream that holds the epochs of a projection: its
// revision n is the beginning of epoch n + 1.
func EpochStream(projection string) string { return "projector-" + projection }

// EpochType is the type of the event that begins an epoch.
const EpochType = "dk.stofstrom.projector.started.v1"

// epochStarted is its payload, version 1.
type epochStarted struct {
	Projection string `json:"projection"`
	Instance   string `json:"instance"`
	Epoch      uint64 `json:"epoch"`
}

// LogEpochs keeps epochs in the log, each taken by an append that expects the
// revision of the last one: of two that try at once, one is refused and tries
// again on top of the other.
type LogEpochs struct {
	append     eventlog.Appender
	read       eventlog.Reader
	projection string
	instance   string
}

// NewLogEpochs returns the epochs of a projection. The instance is a name for
// people: host and process.
func NewLogEpochs(a eventlog.Appender, r eventlog.Reader, projection, instance string) *LogEpochs {
	return &LogEpochs{append: a, read: r, projection: projection, instance: instance}
}

var _ Epochs = (*LogEpochs)(nil)

// Take implements Epochs. It may be repeated after an error: an epoch that was
// taken without our knowing is then followed by another of our own.
func (l *LogEpochs) Take(ctx context.Context) (uint64, error) {
	var next uint64 // revision of the event to append
	for {
		for rec, err := range l.read.ReadStream(ctx, EpochStream(l.projection), next) {
			if err != nil {
				return 0, fmt.Errorf("read epochs: %w", err)
			}
			next = rec.Revision + 1
		}
		expected := eventlog.NoStream()
		if next > 0 {
			expected = eventlog.Exactly(next - 1)
		}
		data, err := json.Marshal(epochStarted{Projection: l.projection, Instance: l.instance, Epoch: next + 1})
		if err != nil {
			return 0, fmt.Errorf("encode epoch: %w", err)
		}
		_, err = l.append.Append(ctx, EpochStream(l.projection), expected,
			[]eventlog.Proposed{{ID: uuid.New(), Type: EpochType, Data: data, Meta: []byte("{}")}})
		var wrong *eventlog.WrongRevision
		switch {
		case err == nil:
			return next + 1, nil
		case errors.As(err, &wrong):
			continue // somebody was faster: on top of theirs
		}
		return 0, fmt.Errorf("take epoch %d: %w", next+1, err)
	}
}

// Check implements Epochs.
func (l *LogEpochs) Check(ctx context.Context, epoch uint64) error {
	for rec, err := range l.read.ReadStream(ctx, EpochStream(l.projection), epoch) {
		if err != nil {
			return fmt.Errorf("read epochs: %w", err)
		}
		return &Fenced{Epoch: epoch, By: rec.Revision + 1}
	}
	return nil
}
