package eventstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// Mark is how far a group has come in a topic: the last event processed. For a
// topic that is a stream its revision counts, for the whole log its position.
type Mark struct {
	// Started is false for a group that was set to the start of a stream: no
	// event was processed and Revision means nothing.
	Started  bool              `json:"started"`
	Revision uint64            `json:"revision"`
	Position eventlog.Position `json:"position"`
}

// before tells whether m lies before n.
func (m Mark) before(n Mark) bool {
	if m.Started != n.Started {
		return !m.Started
	}
	if c := m.Position.Compare(n.Position); c != 0 {
		return c < 0
	}
	return m.Revision < n.Revision
}

// PositionStore keeps the positions of named groups. Implementations are safe
// for concurrent use by any number of processes.
type PositionStore interface {
	// Load returns the mark of a group in a topic; ok is false when there is
	// none yet. What Save confirmed is seen by every later Load.
	Load(ctx context.Context, group, topic string) (m Mark, ok bool, err error)
	// Save moves the mark forward, durably. A mark that does not lie after
	// the one kept changes nothing and is no error.
	Save(ctx context.Context, group, topic string, m Mark) error
}

// MemoryPositions keeps positions in this process, for tests and for groups
// that start over with it. The zero value is ready.
type MemoryPositions struct {
	mu    sync.Mutex
	marks map[[2]string]Mark // guarded by mu; by group and topic
}

var _ PositionStore = (*MemoryPositions)(nil)

// Load implements PositionStore.
func (s *MemoryPositions) Load(_ context.Context, group, topic string) (Mark, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.marks[[2]string{group, topic}]
	return m, ok, nil
}

// Save implements PositionStore.
func (s *MemoryPositions) Save(_ context.Context, group, topic string, m Mark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.marks == nil {
		s.marks = make(map[[2]string]Mark)
	}
	key := [2]string{group, topic}
	if kept, ok := s.marks[key]; !ok || kept.before(m) {
		s.marks[key] = m
	}
	return nil
}

const (
	positionStreamPrefix = "checkpoint-"
	// positionType begins with $, so that a subscription to the whole log
	// never sees its own group moving.
	positionType = "$watermill-checkpoint"
	// saveAttempts bounds how often a Save is decided anew because another
	// member of the group saved at the same moment.
	saveAttempts = 10
)

// StreamPositions keeps each position in a stream of the log itself,
// checkpoint-<group>/<topic> (a slash within the group's name is written %2F),
// of which the server keeps the last event only. A Save is one append.
type StreamPositions struct {
	log *Log

	mu   sync.Mutex
	kept map[string]keptMark // guarded by mu; by stream
}

type keptMark struct {
	expected eventlog.Expected // the stream's last revision
	mark     Mark
	ok       bool
}

var _ PositionStore = (*StreamPositions)(nil)

// NewStreamPositions keeps positions in the log.
func NewStreamPositions(l *Log) *StreamPositions {
	return &StreamPositions{log: l, kept: make(map[string]keptMark)}
}

func positionStream(group, topic string) string {
	return positionStreamPrefix + strings.NewReplacer("%", "%25", "/", "%2F").Replace(group) + "/" + topic
}

// Load implements PositionStore.
func (s *StreamPositions) Load(ctx context.Context, group, topic string) (Mark, bool, error) {
	kept, err := s.read(ctx, positionStream(group, topic))
	if err != nil {
		return Mark{}, false, fmt.Errorf("load position of group %s in %s: %w", group, topic, err)
	}
	return kept.mark, kept.ok, nil
}

func (s *StreamPositions) read(ctx context.Context, stream string) (keptMark, error) {
	kept := keptMark{expected: eventlog.NoStream()}
	var parseErr error
	err := s.log.readOn(ctx, func(callCtx context.Context, c *esdb.Client) (*esdb.ReadStream, error) {
		return c.ReadStream(callCtx, stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
	}, func(e *esdb.RecordedEvent) bool {
		kept.expected, kept.ok = eventlog.Exactly(e.EventNumber), true
		if err := json.Unmarshal(e.Data, &kept.mark, json.RejectUnknownMembers(true)); err != nil {
			parseErr = fmt.Errorf("stream %s, revision %d does not hold a position: %w", stream, e.EventNumber, err)
		}
		return false
	})
	if err = errors.Join(err, parseErr); err != nil {
		return keptMark{}, err
	}
	s.mu.Lock()
	s.kept[stream] = kept
	s.mu.Unlock()
	return kept, nil
}

// Save implements PositionStore.
func (s *StreamPositions) Save(ctx context.Context, group, topic string, m Mark) error {
	if err := s.save(ctx, positionStream(group, topic), m); err != nil {
		return fmt.Errorf("save position of group %s in %s: %w", group, topic, err)
	}
	return nil
}

func (s *StreamPositions) save(ctx context.Context, stream string, m Mark) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	s.mu.Lock()
	kept, known := s.kept[stream]
	s.mu.Unlock()
	for range saveAttempts {
		if !known {
			if kept, err = s.read(ctx, stream); err != nil {
				return err
			}
		}
		if kept.ok && !kept.mark.before(m) {
			return nil
		}
		if kept.expected.IsNoStream() {
			if err := s.log.keepLastOnly(ctx, stream); err != nil {
				return err
			}
		}
		done, err := s.log.append(ctx, stream, kept.expected, []esdb.EventData{{
			EventID: uuid.New(), EventType: positionType, ContentType: esdb.ContentTypeJson, Data: data,
		}})
		if err == nil {
			s.mu.Lock()
			s.kept[stream] = keptMark{expected: eventlog.Exactly(done.Revision), mark: m, ok: true}
			s.mu.Unlock()
			return nil
		}
		var wrong *eventlog.WrongRevision
		if !errors.As(err, &wrong) {
			return err
		}
		known = false // another member was faster
	}
	return fmt.Errorf("%w: other members saved at the same moment, %d times", eventlog.ErrUnavailable, saveAttempts)
}

// keepLastOnly makes the server keep only the last event of a stream.
func (l *Log) keepLastOnly(ctx context.Context, stream string) error {
	lease, err := l.holder.acquire(ctx, waitPatiently)
	if err != nil {
		return err
	}
	var meta esdb.StreamMetadata
	meta.SetMaxCount(1)
	timeout := l.holder.callTimeout
	_, err = await(ctx, func() (*esdb.WriteResult, error) {
		defer lease.release()
		return lease.client.SetStreamMetadata(lease.ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}, Deadline: &timeout}, meta)
	}, nil)
	if err != nil {
		l.holder.reconsider(ctx, lease.gen, err)
		_, err = judge(err)
		return fmt.Errorf("set $maxCount of %s: %w", stream, err)
	}
	return nil
}
