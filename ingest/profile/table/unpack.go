package table

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// UnpackLimits bounds what a compressed file may become. Zero values take the
// defaults.
type UnpackLimits struct {
	Bytes int64 // unpacked bytes in all; 16 GiB
	Ratio int64 // unpacked over packed bytes, beyond the first 16 MiB; 200
}

// freeBytes may be unpacked whatever the ratio: small files of equal rows
// pack very well.
const freeBytes = 16 << 20

// TooLarge refuses a file that unpacks to more than is allowed.
type TooLarge struct {
	Rule  string // unpacked-too-large, unpacked-ratio, sheet-too-large or sheet-too-wide
	Limit int64
}

func (e *TooLarge) Error() string {
	switch e.Rule {
	case "unpacked-ratio":
		return fmt.Sprintf("the file unpacks to more than %d times its size", e.Limit)
	case "sheet-too-large":
		return fmt.Sprintf("the sheet has more than %d rows or filled cells", e.Limit)
	case "sheet-too-wide":
		return fmt.Sprintf("the sheet has more than %d columns", e.Limit)
	}
	return fmt.Sprintf("the file unpacks to more than %d bytes", e.Limit)
}

// Allowed says the limit as a sentence.
func (e *TooLarge) Allowed() string {
	if e.Rule == "unpacked-ratio" {
		return fmt.Sprintf("At most %d times its size is read.", e.Limit)
	}
	return fmt.Sprintf("At most %d bytes are read.", e.Limit)
}

// Unpack returns the plain bytes of src, told by its first bytes: gzip, zstd,
// or plain. A byte-order mark of UTF-8 at the start of the plain bytes is
// dropped. Reading fails with *TooLarge beyond the limits. Close frees the
// decoder, not src.
func Unpack(src io.Reader, limits UnpackLimits) (io.ReadCloser, error) {
	if limits.Bytes <= 0 {
		limits.Bytes = 16 << 30
	}
	if limits.Ratio <= 0 {
		limits.Ratio = 200
	}
	packed := &counter{src: src}
	head := bufio.NewReaderSize(packed, 64<<10)
	magic, err := head.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	u := &unpacked{packed: packed, limits: limits, close: func() error { return nil }}
	switch {
	case isGzip(magic):
		z, err := gzip.NewReader(head)
		if err != nil {
			return nil, fmt.Errorf("read gzip: %w", err)
		}
		u.src, u.close, u.bounded = z, z.Close, true
	case isZstd(magic):
		z, err := zstd.NewReader(head, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(128<<20))
		if err != nil {
			return nil, fmt.Errorf("read zstd: %w", err)
		}
		u.src, u.bounded = z, true
		u.close = func() error { z.Close(); return nil }
	default:
		u.src = head
	}
	plain := bufio.NewReaderSize(u, 64<<10)
	if mark, err := plain.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		if _, err := plain.Discard(3); err != nil {
			return nil, err
		}
	}
	return readCloser{plain, u.close}, nil
}

// IsPacked tells whether a file that begins so is one that Unpack unpacks. Four
// bytes are enough to tell.
func IsPacked(beginning []byte) bool { return isGzip(beginning) || isZstd(beginning) }

func isGzip(b []byte) bool { return len(b) >= 2 && b[0] == 0x1f && b[1] == 0x8b }
func isZstd(b []byte) bool { return len(b) >= 4 && string(b[:4]) == "\x28\xb5\x2f\xfd" }

type readCloser struct {
	io.Reader
	close func() error
}

func (r readCloser) Close() error { return r.close() }

type counter struct {
	src io.Reader
	n   int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.n += int64(n)
	return n, err
}

// unpacked stops when more comes out than the limits allow.
type unpacked struct {
	src     io.Reader
	packed  *counter
	limits  UnpackLimits
	n       int64
	bounded bool // compressed: the ratio counts
	close   func() error
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.src.Read(p)
	u.n += int64(n)
	if u.n > u.limits.Bytes {
		return 0, &TooLarge{Rule: "unpacked-too-large", Limit: u.limits.Bytes}
	}
	if u.bounded && u.n > freeBytes && u.n/u.limits.Ratio > u.packed.n {
		return 0, &TooLarge{Rule: "unpacked-ratio", Limit: u.limits.Ratio}
	}
	return n, err
}
