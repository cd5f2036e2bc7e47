package eventstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/google/uuid"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore/store"
)

// Keys of an event's system metadata, as the protocol names them.
const (
	metaType        = "type"
	metaContentType = "content-type"
	metaCreated     = "created"

	contentJSON   = "application/json"
	contentBinary = "application/octet-stream"
)

// missingMetadataError names a key that every proposed event must carry.
type missingMetadataError struct{ key string }

func (e *missingMetadataError) Error() string {
	return fmt.Sprintf("Required Metadata Property '%s' is missing", e.key)
}

var errWire = errors.New("malformed message")

// appendMessage is one message of the stream of an Append call, decoded.
type appendMessage struct {
	// Set by the first message of a call.
	hasOptions bool
	stream     string
	expected   store.Expected

	// events collects the proposed events of the whole call; their slices
	// point into arena or its predecessors.
	events []store.Proposed
	bytes  int
	arena  []byte
	// limit in bytes above which events are counted and no longer kept.
	limit int
	// err is the first message's fault. It is kept here and not returned to
	// gRPC, which would report it as an internal error.
	err error
}

const arenaBlock = 16 << 10

// keep copies b, since the buffer it comes from belongs to the transport.
func (m *appendMessage) keep(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	if cap(m.arena)-len(m.arena) < len(b) {
		m.arena = make([]byte, 0, max(arenaBlock, len(b)))
	}
	at := len(m.arena)
	m.arena = append(m.arena, b...)
	return m.arena[at:len(m.arena):len(m.arena)]
}

func (m *appendMessage) reset(limit int) {
	clear(m.events)
	*m = appendMessage{events: m.events[:0], arena: m.arena[:0], limit: limit}
}

// Field numbers of event_store.client.streams.AppendReq and what is in it.
const (
	appendOptions  = 1
	appendProposed = 2

	optionStream       = 1
	optionRevision     = 2
	optionNoStream     = 3
	optionAny          = 4
	optionStreamExists = 5
	streamName         = 3

	proposedID             = 1
	proposedMetadata       = 2
	proposedCustomMetadata = 3
	proposedData           = 4
	mapKey                 = 1
	mapValue               = 2
)

// fields calls fn for each field of a message. num is the field number; for
// bytes fields b holds the content, for varints v the value.
func fields(msg []byte, fn func(num protowire.Number, typ protowire.Type, b []byte, v uint64) error) error {
	for len(msg) > 0 {
		num, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return fmt.Errorf("%w: %w", errWire, protowire.ParseError(n))
		}
		msg = msg[n:]
		var b []byte
		var v uint64
		switch typ {
		case protowire.BytesType:
			b, n = protowire.ConsumeBytes(msg)
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(msg)
		case protowire.Fixed32Type, protowire.Fixed64Type, protowire.StartGroupType, protowire.EndGroupType:
			n = protowire.ConsumeFieldValue(num, typ, msg)
		default:
			return fmt.Errorf("%w: wire type %d", errWire, typ)
		}
		if n < 0 {
			return fmt.Errorf("%w: %w", errWire, protowire.ParseError(n))
		}
		msg = msg[n:]
		if err := fn(num, typ, b, v); err != nil {
			return err
		}
	}
	return nil
}

// decode reads one AppendReq.
func (m *appendMessage) decode(msg []byte) error {
	return fields(msg, func(num protowire.Number, typ protowire.Type, b []byte, _ uint64) error {
		if typ != protowire.BytesType {
			return nil
		}
		switch num {
		case appendOptions:
			return m.decodeOptions(b)
		case appendProposed:
			return m.decodeProposed(b)
		}
		return nil
	})
}

func (m *appendMessage) decodeOptions(msg []byte) error {
	m.hasOptions = true
	return fields(msg, func(num protowire.Number, typ protowire.Type, b []byte, v uint64) error {
		switch {
		case num == optionStream && typ == protowire.BytesType:
			return fields(b, func(num protowire.Number, typ protowire.Type, b []byte, _ uint64) error {
				if num == streamName && typ == protowire.BytesType {
					m.stream = string(b)
				}
				return nil
			})
		case num == optionRevision && typ == protowire.VarintType:
			m.expected = store.Expected{Kind: store.ExpectRevision, Revision: v}
		case num == optionNoStream:
			m.expected = store.Expected{Kind: store.ExpectNoStream}
		case num == optionAny:
			m.expected = store.Expected{Kind: store.ExpectAny}
		case num == optionStreamExists:
			m.expected = store.Expected{Kind: store.ExpectStreamExists}
		}
		return nil
	})
}

func (m *appendMessage) decodeProposed(msg []byte) error {
	var p store.Proposed
	var typ, contentType, custom, data []byte
	hasType, hasContentType := false, false
	err := fields(msg, func(num protowire.Number, wire protowire.Type, b []byte, _ uint64) error {
		if wire != protowire.BytesType {
			return nil
		}
		switch num {
		case proposedID:
			id, err := decodeUUID(b)
			p.ID = id
			return err
		case proposedMetadata:
			var key, value []byte
			err := fields(b, func(num protowire.Number, _ protowire.Type, b []byte, _ uint64) error {
				switch num {
				case mapKey:
					key = b
				case mapValue:
					value = b
				}
				return nil
			})
			switch string(key) {
			case metaType:
				typ, hasType = value, true
			case metaContentType:
				contentType, hasContentType = value, true
			}
			return err
		case proposedCustomMetadata:
			custom = b
		case proposedData:
			data = b
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !hasType {
		return &missingMetadataError{key: metaType}
	}
	if !hasContentType {
		return &missingMetadataError{key: metaContentType}
	}
	p.JSON = string(contentType) == contentJSON
	p.Type, p.Metadata, p.Data = typ, custom, data
	m.bytes += p.Size()
	if m.bytes > m.limit {
		return nil // refused as a whole at the end of the call
	}
	p.Type, p.Metadata, p.Data = m.keep(typ), m.keep(custom), m.keep(data)
	m.events = append(m.events, p)
	return nil
}

// decodeUUID reads event_store.client.UUID, in either of its forms.
func decodeUUID(msg []byte) (id [16]byte, err error) {
	err = fields(msg, func(num protowire.Number, typ protowire.Type, b []byte, _ uint64) error {
		if typ != protowire.BytesType {
			return nil
		}
		switch num {
		case 1:
			id = [16]byte{}
			return fields(b, func(num protowire.Number, typ protowire.Type, _ []byte, v uint64) error {
				switch {
				case num == 1 && typ == protowire.VarintType:
					binary.BigEndian.PutUint64(id[:8], v)
				case num == 2 && typ == protowire.VarintType:
					binary.BigEndian.PutUint64(id[8:], v)
				}
				return nil
			})
		case 2:
			parsed, err := uuid.ParseBytes(b)
			if err != nil {
				return fmt.Errorf("event id %q: %w", b, err)
			}
			id = parsed
		}
		return nil
	})
	return id, err
}

// eventEncoder turns records into ReadResp messages in wire format.
type eventEncoder struct {
	stringIDs bool // UUIDs as strings instead of two integers
	created   [20]byte
}

// event appends a ReadResp that holds the event, and the link it was found by
// if there is one. Either may be nil, not both.
func (e *eventEncoder) event(dst []byte, event, link *store.Record) []byte {
	// ReadResp.event = 1 { event = 1, link = 2, commit_position = 3 }
	eventLen, linkLen := e.recordLen(event), e.recordLen(link)
	position := uint64(0)
	if event != nil {
		position = event.Position
	}
	if link != nil {
		position = link.Position
	}
	inner := 1 + protowire.SizeVarint(position)
	if event != nil {
		inner += 1 + protowire.SizeBytes(eventLen)
	}
	if link != nil {
		inner += 1 + protowire.SizeBytes(linkLen)
	}
	dst = append(dst, 1<<3|byte(protowire.BytesType))
	dst = protowire.AppendVarint(dst, uint64(inner))
	if event != nil {
		dst = append(dst, 1<<3|byte(protowire.BytesType))
		dst = protowire.AppendVarint(dst, uint64(eventLen))
		dst = e.record(dst, event)
	}
	if link != nil {
		dst = append(dst, 2<<3|byte(protowire.BytesType))
		dst = protowire.AppendVarint(dst, uint64(linkLen))
		dst = e.record(dst, link)
	}
	dst = append(dst, 3<<3|byte(protowire.VarintType))
	return protowire.AppendVarint(dst, position)
}

const uuidTextLen = 36

func (e *eventEncoder) idLen(r *store.Record) int {
	if e.stringIDs {
		return 1 + protowire.SizeBytes(uuidTextLen)
	}
	return 1 + protowire.SizeBytes(e.structuredLen(r))
}

func (e *eventEncoder) structuredLen(r *store.Record) int {
	return 2 + protowire.SizeVarint(binary.BigEndian.Uint64(r.ID[:8])) + protowire.SizeVarint(binary.BigEndian.Uint64(r.ID[8:]))
}

func contentType(r *store.Record) string {
	if r.JSON {
		return contentJSON
	}
	return contentBinary
}

// mapEntryLen is the length of one entry of the metadata map without its own tag.
func mapEntryLen(key string, value int) int {
	return 1 + protowire.SizeBytes(len(key)) + 1 + protowire.SizeBytes(value)
}

func (e *eventEncoder) recordLen(r *store.Record) int {
	if r == nil {
		return 0
	}
	n := 1 + protowire.SizeBytes(e.idLen(r))
	n += 1 + protowire.SizeBytes(1+protowire.SizeBytes(len(r.Stream)))
	n += 3 + protowire.SizeVarint(r.Revision) + 2*protowire.SizeVarint(r.Position)
	n += 3 + protowire.SizeBytes(mapEntryLen(metaType, len(r.Type))) +
		protowire.SizeBytes(mapEntryLen(metaCreated, len(e.createdText(r)))) +
		protowire.SizeBytes(mapEntryLen(metaContentType, len(contentType(r))))
	return n + 2 + protowire.SizeBytes(len(r.Metadata)) + protowire.SizeBytes(len(r.Data))
}

func (e *eventEncoder) createdText(r *store.Record) []byte {
	return strconv.AppendInt(e.created[:0], r.Created, 10)
}

// record appends a RecordedEvent.
func (e *eventEncoder) record(dst []byte, r *store.Record) []byte {
	dst = append(dst, 1<<3|byte(protowire.BytesType))
	dst = protowire.AppendVarint(dst, uint64(e.idLen(r)))
	if e.stringIDs {
		dst = append(dst, 2<<3|byte(protowire.BytesType))
		dst = protowire.AppendString(dst, uuid.UUID(r.ID).String())
	} else {
		dst = append(dst, 1<<3|byte(protowire.BytesType))
		dst = protowire.AppendVarint(dst, uint64(e.structuredLen(r)))
		dst = append(dst, 1<<3|byte(protowire.VarintType))
		dst = protowire.AppendVarint(dst, binary.BigEndian.Uint64(r.ID[:8]))
		dst = append(dst, 2<<3|byte(protowire.VarintType))
		dst = protowire.AppendVarint(dst, binary.BigEndian.Uint64(r.ID[8:]))
	}
	dst = append(dst, 2<<3|byte(protowire.BytesType))
	dst = protowire.AppendVarint(dst, uint64(1+protowire.SizeBytes(len(r.Stream))))
	dst = append(dst, streamName<<3|byte(protowire.BytesType))
	dst = protowire.AppendBytes(dst, r.Stream)
	dst = append(dst, 3<<3|byte(protowire.VarintType))
	dst = protowire.AppendVarint(dst, r.Revision)
	dst = append(dst, 4<<3|byte(protowire.VarintType))
	dst = protowire.AppendVarint(dst, r.Position)
	dst = append(dst, 5<<3|byte(protowire.VarintType))
	dst = protowire.AppendVarint(dst, r.Position)
	dst = appendMapEntry(dst, metaType, r.Type)
	dst = appendMapEntry(dst, metaCreated, e.createdText(r))
	dst = appendMapEntry(dst, metaContentType, []byte(contentType(r)))
	dst = append(dst, 7<<3|byte(protowire.BytesType))
	dst = protowire.AppendBytes(dst, r.Metadata)
	dst = append(dst, 8<<3|byte(protowire.BytesType))
	return protowire.AppendBytes(dst, r.Data)
}

func appendMapEntry(dst []byte, key string, value []byte) []byte {
	dst = append(dst, 6<<3|byte(protowire.BytesType))
	dst = protowire.AppendVarint(dst, uint64(mapEntryLen(key, len(value))))
	dst = append(dst, mapKey<<3|byte(protowire.BytesType))
	dst = protowire.AppendString(dst, key)
	dst = append(dst, mapValue<<3|byte(protowire.BytesType))
	return protowire.AppendBytes(dst, value)
}
