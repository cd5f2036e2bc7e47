package table

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

type got struct {
	line   int
	fields []string
	rule   string
}

func readAll(t testing.TB, src io.Reader, comma byte, limits Limits) []got {
	t.Helper()
	r := NewReader(src, comma, limits)
	var all []got
	for {
		rec, err := r.Read()
		var broken *BrokenRecord
		switch {
		case errors.Is(err, io.EOF):
			return all
		case errors.As(err, &broken):
			all = append(all, got{line: broken.Line, rule: broken.Rule})
		default:
			require.NoError(t, err)
			g := got{line: rec.Line}
			for _, f := range rec.Fields {
				g.fields = append(g.fields, string(f))
			}
			all = append(all, g)
		}
	}
}

func TestRecordsAndBrokenRecords(t *testing.T) {
	for name, c := range map[string]struct {
		in    string
		comma byte
		want  []got
	}{
		"plain":                    {"a,b\nc,d\n", ',', []got{{1, []string{"a", "b"}, ""}, {2, []string{"c", "d"}, ""}}},
		"no break at the end":      {"a,b\r\nc,", ',', []got{{1, []string{"a", "b"}, ""}, {2, []string{"c", ""}, ""}}},
		"semicolons":               {"a;1,5\n", ';', []got{{1, []string{"a", "1,5"}, ""}}},
		"quotes":                   {`"a ""x"", b",c` + "\n", ',', []got{{1, []string{`a "x", b`, "c"}, ""}}},
		"two lines in a field":     {"\"a\nb\",c\nd,e\n", ',', []got{{1, []string{"a\nb", "c"}, ""}, {3, []string{"d", "e"}, ""}}},
		"blank lines":              {"a\n\n\r\nb\n", ',', []got{{1, []string{"a"}, ""}, {4, []string{"b"}, ""}}},
		"quote inside plain":       {"6\" pipe,x\n", ',', []got{{1, []string{`6" pipe`, "x"}, ""}}},
		"text behind a quote":      {"\"a\"b,c\nd,e\n", ',', []got{{1, nil, "csv-quote"}, {2, []string{"d", "e"}, ""}}},
		"a quote never closed":     {"a,\"b\nc,d\ne,f\n", ',', []got{{1, nil, "csv-quote"}, {2, []string{"c", "d"}, ""}, {3, []string{"e", "f"}, ""}}},
		"a stray quote before one": {"a,\"b\nc,\"d\"\n", ',', []got{{1, nil, "csv-quote"}, {2, []string{"c", "d"}, ""}}},
		"too many columns":         {"1,2,3,4,5\na,b\n", ',', []got{{1, nil, "csv-too-many-columns"}, {2, []string{"a", "b"}, ""}}},
		"empty":                    {"", ',', nil},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, readAll(t, strings.NewReader(c.in), c.comma, Limits{Columns: 4}))
			require.Equal(t, c.want, readAll(t, iotest.OneByteReader(strings.NewReader(c.in)), c.comma, Limits{Columns: 4}))
		})
	}
}

func TestAnOverLongLineCostsOnlyItself(t *testing.T) {
	long := strings.Repeat("x", 300<<10)
	in := "a,b\n" + long + ",y\nc,d\n\"" + long + "\ne,f\n"
	want := []got{{1, []string{"a", "b"}, ""}, {2, nil, "csv-record-too-long"}, {3, []string{"c", "d"}, ""}, {4, nil, "csv-record-too-long"}, {5, []string{"e", "f"}, ""}}
	require.Equal(t, want, readAll(t, strings.NewReader(in), ',', Limits{RecordBytes: 128 << 10}))
}

func TestTheSourcesErrorIsGivenOn(t *testing.T) {
	r := NewReader(iotest.ErrReader(os.ErrClosed), ',', Limits{})
	_, err := r.Read()
	require.ErrorIs(t, err, os.ErrClosed)
}

func packGzip(t testing.TB, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(plain)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestUnpackTellsCompressionByTheFirstBytes(t *testing.T) {
	plain := []byte("a,b\n1,2\n")
	w, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	for name, packed := range map[string][]byte{
		"plain": plain, "gzip": packGzip(t, plain), "zstd": w.EncodeAll(plain, nil),
		"byte-order mark": append([]byte("\xef\xbb\xbf"), plain...),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Unpack(bytes.NewReader(packed), UnpackLimits{})
			require.NoError(t, err)
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, plain, got)
			require.NoError(t, r.Close())
		})
	}
}

func TestErrBombs(t *testing.T) {
	packed := packGzip(t, make([]byte, 40<<20))
	for rule, limits := range map[string]UnpackLimits{
		"unpacked-ratio":     {},
		"unpacked-too-large": {Bytes: 1 << 20},
	} {
		t.Run(rule, func(t *testing.T) {
			r, err := Unpack(bytes.NewReader(packed), limits)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, r)
			var large *TooLarge
			require.ErrorAs(t, err, &large)
			require.Equal(t, rule, large.Rule)
			require.NotEmpty(t, large.Error())
		})
	}
	r, err := Unpack(bytes.NewReader(packed[:len(packed)/2]), UnpackLimits{Ratio: 1 << 40})
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, r)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "a cut file is not the end of the file")
}

// What the standard library reads without complaint, this reader reads the
// same; and nothing makes it panic, loop or lose a line.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"a,b\n", "\"a\"\"b\",c\r\n", "\"open\nx,y", "a\n\n\nb", "\"\"", "\"a\"x", ",", "\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		ours := readAll(t, bytes.NewReader(in), ',', Limits{Columns: 1 << 20})
		slow := readAll(t, iotest.OneByteReader(bytes.NewReader(in)), ',', Limits{Columns: 1 << 20})
		require.Equal(t, ours, slow)
		if bytes.ContainsRune(in, '\r') {
			return // the standard library rewrites line breaks inside fields
		}
		std := csv.NewReader(bytes.NewReader(in))
		std.FieldsPerRecord = -1
		rows, err := std.ReadAll()
		if err != nil {
			return
		}
		require.Len(t, ours, len(rows))
		for i, row := range rows {
			require.Equal(t, row, ours[i].fields)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	row := strings.Repeat("some words in a field,", 27) + "12.34\n"
	in := strings.Repeat(row, 1000)
	b.SetBytes(int64(len(row)))
	b.ReportAllocs()
	for n := 0; n < b.N; n += 1000 {
		r := NewReader(strings.NewReader(in), ',', Limits{})
		for {
			if _, err := r.Read(); err != nil {
				break
			}
		}
	}
}
