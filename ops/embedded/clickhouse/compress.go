//go:build linux

package clickhouse

import (
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// decodeBody undoes the HTTP Content-Encoding of a request's body.
func decodeBody(body io.Reader, encoding string) (io.Reader, error) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		return gzip.NewReader(body)
	case "deflate":
		return zlib.NewReader(body)
	case "br":
		return brotli.NewReader(body), nil
	case "zstd":
		decoder, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		return decoder.IOReadCloser(), nil
	case "lz4":
		return lz4.NewReader(body), nil
	default:
		return nil, fmt.Errorf("encoding %q is none of gzip, deflate, br, zstd, lz4", encoding)
	}
}

// responseEncodings are the encodings this endpoint offers, best first.
var responseEncodings = []string{"zstd", "lz4", "gzip", "br", "deflate"}

// chooseEncoding picks the encoding of an answer from an Accept-Encoding header.
func chooseEncoding(accept string) string {
	accepted := map[string]bool{}
	for part := range strings.SplitSeq(accept, ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(part), ";")
		weight = strings.ReplaceAll(weight, " ", "")
		accepted[strings.ToLower(strings.TrimSpace(name))] = weight != "q=0" && weight != "q=0.0"
	}
	for _, name := range responseEncodings {
		if accepted[name] {
			return name
		}
	}
	return ""
}

// encodeBody wraps w in the HTTP encoding. Close ends the encoding, not w.
func encodeBody(w io.Writer, encoding string) (io.WriteCloser, error) {
	switch encoding {
	case "gzip":
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	case "deflate":
		return zlib.NewWriterLevel(w, zlib.BestSpeed)
	case "br":
		return brotli.NewWriterLevel(w, 3), nil
	case "zstd":
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	case "lz4":
		return lz4.NewWriter(w), nil
	default:
		return plainCloser{w}, nil
	}
}

type plainCloser struct{ io.Writer }

func (plainCloser) Close() error { return nil }

// blockWriter compresses in ClickHouse's own framing (compress=1).
type blockWriter struct {
	w      io.Writer
	writer *compress.Writer
}

// maxBlock bounds what goes into one compressed block, in bytes; the engine's
// own bound is the same.
const maxBlock = 1 << 20

func newBlockWriter(w io.Writer, method string) (*blockWriter, error) {
	var m compress.Method
	switch strings.ToUpper(method) {
	case "", "LZ4":
		m = compress.LZ4
	case "LZ4HC":
		m = compress.LZ4HC
	case "ZSTD":
		m = compress.ZSTD
	case "NONE":
		m = compress.None
	default:
		return nil, fmt.Errorf("network_compression_method %q is none of LZ4, LZ4HC, ZSTD, NONE", method)
	}
	return &blockWriter{w: w, writer: compress.NewWriter(compress.LevelZero, m)}, nil
}

func (b *blockWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(len(rest), maxBlock)
		if err := b.writer.Compress(rest[:n]); err != nil {
			return 0, fmt.Errorf("compress block: %w", err)
		}
		if _, err := b.w.Write(b.writer.Data); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// blockReader undoes ClickHouse's own framing (decompress=1). It tells a body
// that ends between two blocks, which is complete, from one that breaks off.
type blockReader struct {
	raw    countingReader
	blocks *compress.Reader
	whole  int64 // raw bytes that belong to complete blocks
}

func newBlockReader(r io.Reader) *blockReader {
	b := &blockReader{raw: countingReader{r: r}}
	b.blocks = compress.NewReader(&b.raw)
	return b
}

func (b *blockReader) Read(p []byte) (int, error) {
	n, err := b.blocks.Read(p)
	switch {
	case err == nil:
		b.whole = b.raw.n
		return n, nil
	case errors.Is(err, io.EOF) && b.raw.n == b.whole:
		return n, io.EOF
	case errors.Is(err, io.EOF):
		return n, fmt.Errorf("compressed block breaks off: %w", io.ErrUnexpectedEOF)
	default:
		return n, err
	}
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
