package profile

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding"
)

// detecting reads text that is either UTF-8 or of another character set. The
// first line that is not plain ASCII decides for the whole file: when it is
// not valid UTF-8, the file is of the other set. Danish letters of Windows-1252
// never make valid UTF-8; and a file that mixes both has rows that are refused
// by name rather than letters that are wrong.
type detecting struct {
	src   *bufio.Reader
	other encoding.Encoding
	rest  io.Reader // once decided
}

// detectBytes is how much of a line is looked at.
const detectBytes = 64 << 10

func detect(src io.Reader, other encoding.Encoding) io.Reader {
	return &detecting{src: bufio.NewReaderSize(src, detectBytes), other: other}
}

// Read gives UTF-8.
func (d *detecting) Read(p []byte) (int, error) {
	if d.rest != nil {
		return d.rest.Read(p)
	}
	if _, err := d.src.Peek(1); err != nil {
		return 0, err
	}
	held, err := d.src.Peek(d.src.Buffered())
	if err != nil {
		return 0, err
	}
	if n := ascii(held); n > 0 {
		return d.src.Read(p[:min(n, len(p))])
	}
	line, err := d.src.Peek(detectBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	if n := bytes.IndexByte(line, '\n'); n >= 0 {
		line = line[:n]
	} else if err == nil {
		line = wholeRunes(line) // the line goes on
	}
	d.rest = d.src
	if !utf8.Valid(line) {
		d.rest = d.other.NewDecoder().Reader(d.src)
	}
	return d.rest.Read(p)
}

// ascii counts the bytes in front that mean the same in every character set.
func ascii(b []byte) int {
	for i, c := range b {
		if c >= utf8.RuneSelf {
			return i
		}
	}
	return len(b)
}

// wholeRunes cuts a character off that goes on beyond the end.
func wholeRunes(b []byte) []byte {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return b[:len(b)-n]
			}
			return b
		}
	}
	return b
}
