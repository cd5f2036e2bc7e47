package eventstore

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"strconv"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
)

// namespace of the event ids that are derived.
var namespace = uuid.MustParse("2f5f3b6c-5d0e-5f7c-9a3b-7a1d6f0f6a51")

// derive makes an event id from parts, none of which can run into the next.
func derive(parts ...string) uuid.UUID {
	var data []byte
	for _, p := range parts {
		data = binary.AppendUvarint(data, uint64(len(p)))
		data = append(data, p...)
	}
	return uuid.NewSHA1(namespace, data)
}

// canonicalUUID returns s as a UUID when it is written in the one canonical
// way. Two spellings of the same UUID are two message UUIDs.
func canonicalUUID(s string) (uuid.UUID, bool) {
	id, err := uuid.Parse(s)
	if err != nil || id.String() != s || id == uuid.Nil {
		return uuid.Nil, false
	}
	return id, true
}

// identify decides the event ids of the messages of one Publish. See Publisher
// for the rules.
func (p *Publisher) identify(stream string, anyRevision bool, messages []*message.Message) ([]uuid.UUID, error) {
	ids := make([]uuid.UUID, len(messages))
	explicit := make(map[uuid.UUID]int, len(messages))
	times := make(map[uuid.UUID]int, len(messages))
	for i, m := range messages {
		if text := m.Metadata.Get(MetaEventID); text != "" {
			id, err := uuid.Parse(text)
			if err != nil || id == uuid.Nil {
				return nil, fmt.Errorf("message %d of %d (%s): %s is %q, must be a UUID", i+1, len(messages), m.UUID, MetaEventID, text)
			}
			if first, dup := explicit[id]; dup {
				return nil, fmt.Errorf("messages %d and %d of %d: %s %s repeats within one Publish", first+1, i+1, len(messages), MetaEventID, id)
			}
			explicit[id] = i
			ids[i] = id
			times[id]++
		}
	}
	for i, m := range messages {
		if ids[i] != uuid.Nil {
			continue
		}
		id, ok := canonicalUUID(m.UUID)
		if !ok {
			id = tokenID(m, stream)
		} else if anyRevision && !p.seen.sameOrNew(id, stream, contentSum(m)) {
			// The UUID has been used for another message before. With any
			// expected revision the server would take this one for a repetition.
			meta, err := encodeMeta(m, "")
			if err != nil {
				return nil, fmt.Errorf("message %d of %d (%s): %w", i+1, len(messages), m.UUID, err)
			}
			id = derive(stream, m.UUID, m.Metadata.Get(MetaEventType), string(m.Payload), string(meta))
		}
		times[id]++
		if n := times[id]; n > 1 {
			id = derive(stream, id.String(), strconv.Itoa(n))
		}
		ids[i] = id
	}
	return ids, nil
}

// tokenID is the event id of a message whose UUID identifies nothing: random,
// but the same when this message's Publish is repeated.
func tokenID(m *message.Message, stream string) uuid.UUID {
	token := m.Metadata.Get(metaToken)
	if token == "" {
		token = uuid.NewString()
		m.Metadata.Set(metaToken, token)
	}
	return derive(token, stream)
}

var contentSeed = maphash.MakeSeed()

// contentSum tells contents apart within this process. Metadata is summed
// independent of its order.
func contentSum(m *message.Message) uint64 {
	sum := maphash.Bytes(contentSeed, m.Payload)
	for key, value := range m.Metadata {
		if !reserved(key) || key == MetaEventType || key == MetaRaw {
			sum += maphash.String(contentSeed, strconv.Itoa(len(key))+":"+key+value)
		}
	}
	return sum
}

// seenUUIDs remembers what message UUIDs were lately used for. It keeps between
// half of its limit and all of it.
type seenUUIDs struct {
	limit int

	mu            sync.Mutex
	newest, older map[uuid.UUID]use // guarded by mu
}

type use struct {
	stream  string
	content uint64
}

// sameOrNew notes the use of a UUID; false when it was used otherwise before.
func (s *seenUUIDs) sameOrNew(id uuid.UUID, stream string, content uint64) bool {
	now := use{stream, content}
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, ok := s.newest[id]; ok {
		return before == now
	}
	if before, ok := s.older[id]; ok && before != now {
		return false
	}
	if s.newest == nil || len(s.newest) >= s.limit/2 {
		s.older, s.newest = s.newest, make(map[uuid.UUID]use, s.limit/2)
	}
	s.newest[id] = now
	return true
}
