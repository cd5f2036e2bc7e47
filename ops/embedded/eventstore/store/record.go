package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Record is one event as the log holds it.
//
// The byte slices of a record handed to a scan callback alias the store's
// memory and are valid only until the callback returns.
type Record struct {
	// Position is the event's place in the whole log, 1 or greater.
	Position uint64
	// Revision is its place in its stream, 0 or greater; [RevisionTombstone]
	// for the event that ends a stream for ever.
	Revision uint64
	// Created is the recorded time in ticks of 100 ns since the Unix epoch.
	Created int64
	// ID is the event id that the client proposed.
	ID [16]byte
	// JSON says whether the client declared the data as JSON.
	JSON     bool
	Stream   []byte
	Type     []byte
	Metadata []byte
	Data     []byte
}

// A record, version 1:
//
//	0     version, 1
//	1..4  CRC-32C, little-endian, over the position (8 bytes, big-endian) and bytes 5…end
//	5     flags: bit 0 = data is JSON; others zero
//	6..13 created, little-endian
//	14..29 event id
//	then  revision (uvarint), and for each of stream, type, metadata, data: length (uvarint) and bytes
const (
	recordVersion   = 1
	recordCRCOffset = 1
	recordBody      = 5
	recordFixed     = recordBody + 1 + 8 + 16
	flagJSON        = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Reasons for which a record is refused, wrapped in a [CorruptionError].
var (
	errRecordVersion  = errors.New("unknown record version")
	errRecordChecksum = errors.New("record checksum does not match")
	errRecordShape    = errors.New("record is malformed")
)

func uvarintLen(v uint64) int {
	n := 1
	for v >= 0x80 {
		v >>= 7
		n++
	}
	return n
}

func recordLen(revision uint64, stream string, p *Proposed) int {
	return recordFixed + uvarintLen(revision) +
		uvarintLen(uint64(len(stream))) + len(stream) +
		uvarintLen(uint64(len(p.Type))) + len(p.Type) +
		uvarintLen(uint64(len(p.Metadata))) + len(p.Metadata) +
		uvarintLen(uint64(len(p.Data))) + len(p.Data)
}

// putRecord encodes into dst, which is exactly recordLen long.
func putRecord(dst []byte, position, revision uint64, created int64, stream string, p *Proposed) {
	dst[0] = recordVersion
	dst[recordBody] = 0
	if p.JSON {
		dst[recordBody] = flagJSON
	}
	binary.LittleEndian.PutUint64(dst[recordBody+1:], uint64(created))
	copy(dst[recordBody+9:], p.ID[:])
	at := recordFixed
	at += binary.PutUvarint(dst[at:], revision)
	at += binary.PutUvarint(dst[at:], uint64(len(stream)))
	at += copy(dst[at:], stream)
	at += binary.PutUvarint(dst[at:], uint64(len(p.Type)))
	at += copy(dst[at:], p.Type)
	at += binary.PutUvarint(dst[at:], uint64(len(p.Metadata)))
	at += copy(dst[at:], p.Metadata)
	at += binary.PutUvarint(dst[at:], uint64(len(p.Data)))
	copy(dst[at:], p.Data)
	binary.LittleEndian.PutUint32(dst[recordCRCOffset:], recordChecksum(position, dst[recordBody:]))
}

// recordChecksum covers the position as well, so that an intact record under
// the wrong key is found too.
func recordChecksum(position uint64, body []byte) uint32 {
	var p [8]byte
	binary.BigEndian.PutUint64(p[:], position)
	return crc32.Update(crc32.Update(0, castagnoli, p[:]), castagnoli, body)
}

// decodeRecord checks and decodes the record stored at position; its slices
// alias v.
func decodeRecord(r *Record, position uint64, v []byte) error {
	if len(v) < recordFixed {
		return fmt.Errorf("%w: %d bytes, want at least %d", errRecordShape, len(v), recordFixed)
	}
	if v[0] != recordVersion {
		return fmt.Errorf("%w: %d, want %d", errRecordVersion, v[0], recordVersion)
	}
	want := binary.LittleEndian.Uint32(v[recordCRCOffset:])
	if got := recordChecksum(position, v[recordBody:]); got != want {
		return fmt.Errorf("%w: stored %08x, computed %08x", errRecordChecksum, want, got)
	}
	flags := v[recordBody]
	if flags&^flagJSON != 0 {
		return fmt.Errorf("%w: flags %08b", errRecordShape, flags)
	}
	r.Position = position
	r.JSON = flags&flagJSON != 0
	r.Created = int64(binary.LittleEndian.Uint64(v[recordBody+1:]))
	copy(r.ID[:], v[recordBody+9:])
	rest := v[recordFixed:]
	revision, n := binary.Uvarint(rest)
	if n <= 0 {
		return fmt.Errorf("%w: revision", errRecordShape)
	}
	r.Revision = revision
	rest = rest[n:]
	for _, field := range [...]struct {
		name string
		dst  *[]byte
	}{{"stream", &r.Stream}, {"type", &r.Type}, {"metadata", &r.Metadata}, {"data", &r.Data}} {
		length, n := binary.Uvarint(rest)
		if n <= 0 || length > uint64(len(rest)-n) {
			return fmt.Errorf("%w: length of %s", errRecordShape, field.name)
		}
		*field.dst = rest[n : n+int(length) : n+int(length)]
		rest = rest[n+int(length):]
	}
	if len(rest) != 0 {
		return fmt.Errorf("%w: %d bytes after the data", errRecordShape, len(rest))
	}
	return nil
}
