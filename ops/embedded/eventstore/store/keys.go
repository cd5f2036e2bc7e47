package store

import (
	"encoding/binary"
	"fmt"
)

// The key space, one prefix byte each. The log comes first, so that its
// ever-growing tail and the indexes behind it fall into different tables.
//
//	l <position: 8 bytes, big-endian>                       → record
//	m <name>                                                → a fact about the store itself
//	n <stream name>                                         → stream number (uvarint)
//	s <stream number: 8 bytes BE> <revision: 8 bytes BE>    → position (uvarint)
const (
	prefixLog    = 'l'
	prefixMeta   = 'm'
	prefixName   = 'n'
	prefixStream = 's'
)

// formatKey holds the version of this layout, formatVersion its only value so
// far. A version is never reused.
//
// Version 1: the key space above with records of version 1.
var formatKey = []byte("mformat")

const formatVersion = 1

const (
	logKeyLen    = 1 + 8
	streamKeyLen = 1 + 8 + 8
)

func putLogKey(dst []byte, position uint64) {
	dst[0] = prefixLog
	binary.BigEndian.PutUint64(dst[1:], position)
}

func logKey(position uint64) []byte {
	k := make([]byte, logKeyLen)
	putLogKey(k, position)
	return k
}

func logPosition(key []byte) (uint64, error) {
	if len(key) != logKeyLen || key[0] != prefixLog {
		return 0, fmt.Errorf("log key %x: want %d bytes that begin with %q", key, logKeyLen, prefixLog)
	}
	return binary.BigEndian.Uint64(key[1:]), nil
}

func nameKey(stream string) []byte {
	k := make([]byte, 1+len(stream))
	k[0] = prefixName
	copy(k[1:], stream)
	return k
}

func putStreamKey(dst []byte, number, revision uint64) {
	dst[0] = prefixStream
	binary.BigEndian.PutUint64(dst[1:], number)
	binary.BigEndian.PutUint64(dst[9:], revision)
}

func streamKey(number, revision uint64) []byte {
	k := make([]byte, streamKeyLen)
	putStreamKey(k, number, revision)
	return k
}

func parseStreamKey(key []byte) (number, revision uint64, err error) {
	if len(key) != streamKeyLen || key[0] != prefixStream {
		return 0, 0, fmt.Errorf("stream key %x: want %d bytes that begin with %q", key, streamKeyLen, prefixStream)
	}
	return binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(key[9:]), nil
}

// parseUvarint reads a value that is exactly one uvarint.
func parseUvarint(v []byte) (uint64, error) {
	n, size := binary.Uvarint(v)
	if size <= 0 || size != len(v) {
		return 0, fmt.Errorf("value %x is not one uvarint", v)
	}
	return n, nil
}
