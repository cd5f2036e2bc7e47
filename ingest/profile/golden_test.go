package profile

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"

	"github.com/stofstrom/stofstrom/domain/fault"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got, "run with -update and look at the difference")
}

// describe writes what a file became, for people to review.
func describe(t *testing.T, b *Bound, file []byte) string {
	t.Helper()
	var out strings.Builder
	show := func(what string, v any) {
		text, err := json.Marshal(v, json.Deterministic(true), jsontext.Multiline(false))
		require.NoError(t, err)
		fmt.Fprintf(&out, "  %s %s\n", what, text)
	}
	d, err := b.Open(bytes.NewReader(file), Limits{})
	require.NoError(t, err)
	for {
		row, err := d.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		fmt.Fprintf(&out, "line %d\n", row.Line)
		for _, a := range row.Areas {
			show("area", a)
		}
		if row.Facility != nil {
			show("facility", row.Facility)
		}
		for _, v := range row.Rejected {
			fmt.Fprintf(&out, "  rejected %s\n", v)
		}
		if len(row.Rejected) > 0 {
			continue
		}
		if b.Keyless() {
			fmt.Fprintf(&out, "  key %s\n", row.Key.ExternalID(1))
		}
		show("fact", row.Fact)
	}
	require.NoError(t, d.Close())
	return out.String()
}

// Each profile with its sample rows and the facts they become. The keys of wdi
// are frozen: an identity that changes would make every recorded row missing.
func TestGoldenProfiles(t *testing.T) {
	all, err := BuiltIn()
	require.NoError(t, err)
	for name, p := range all {
		t.Run(name, func(t *testing.T) {
			given, ok := samples[name]
			require.True(t, ok, "the profile has no sample")
			bound, err := p.Bind(given)
			require.NoError(t, err)
			file, err := os.ReadFile(filepath.Join("testdata", name+".csv"))
			require.NoError(t, err)
			golden(t, filepath.Join("testdata", name+".golden"), describe(t, bound, file))
		})
	}
}

// A profile of the tests: what the built-in ones do not use.
func TestGoldenFormat(t *testing.T) {
	text, err := os.ReadFile("testdata/scale.yaml")
	require.NoError(t, err)
	p, err := Load("scale.yaml", text)
	require.NoError(t, err)
	_, err = p.Bind(nil)
	require.Equal(t, fault.Invalid, fault.KindOf(err), "a parameter without default must be given")
	bound, err := p.Bind(map[string]string{"year": "2026"})
	require.NoError(t, err)
	require.Equal(t, "scale/2026", bound.Source())
	utf8, err := os.ReadFile("testdata/scale.csv.utf8")
	require.NoError(t, err)
	file, err := charmap.Windows1252.NewEncoder().Bytes(utf8)
	require.NoError(t, err)
	golden(t, "testdata/scale.golden", describe(t, bound, file))
}

// The order of columns does not matter, nor do blanks around headings; the
// ignored columns are not looked at.
func TestColumnsInAnotherOrderAreTheSameRows(t *testing.T) {
	file, err := os.ReadFile("testdata/wdi.csv")
	require.NoError(t, err)
	var turned []string
	for line := range strings.Lines(string(file)) {
		line = strings.TrimSuffix(line, "\n")
		head, tail, _ := strings.Cut(line, ",")
		turned = append(turned, tail+","+head)
	}
	other := strings.ReplaceAll(strings.Join(turned, "\n"), "Somebody Ltd", "Anybody Else")
	require.NotEqual(t, string(file), other)
	b := wdi(t, nil)
	require.Equal(t, describe(t, b, file), describe(t, b, []byte(other)))
}

func TestErrHeadings(t *testing.T) {
	file, err := os.ReadFile("testdata/wdi.csv")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		in   string
		kind fault.Kind
		want []string
	}{
		"empty":     {"", fault.Malformed, []string{"file file-empty"}},
		"unknown":   {strings.Replace(string(file), "Permit,", "Colour,", 1), fault.Invalid, []string{"Colour heading-unknown", "Permit heading-missing"}},
		"twice":     {strings.Replace(string(file), "Permit,", "Fate,", 1), fault.Invalid, []string{"Fate heading-twice", "Permit heading-missing"}},
		"bad quote": {"\"a\"b\n", fault.Malformed, []string{"row csv-quote"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wdi(t, nil).Open(strings.NewReader(c.in), Limits{})
			var f *fault.Fault
			require.ErrorAs(t, err, &f)
			require.Equal(t, c.kind, f.Kind)
			var got []string
			for _, v := range f.Violations {
				got = append(got, v.Field+" "+v.Rule)
				require.Equal(t, 1, v.Line)
				require.NotEmpty(t, v.Message)
			}
			require.Equal(t, c.want, got)
		})
	}
}

// Each file of testdata/bad is a profile; beside it stand the reasons why it
// is none.
func TestErrProfiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			_, err = Load(filepath.Base(file), text)
			var p *Problems
			require.ErrorAs(t, err, &p)
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", strings.Join(p.Reasons, "\n")+"\n")
		})
	}
}

func TestExternalIDs(t *testing.T) {
	k := Key{Group: [16]byte{1, 0xff}, Measure: [8]byte{7}}
	id := k.ExternalID(12)
	back, ordinal, ok := ParseExternalID(id)
	require.True(t, ok)
	require.Equal(t, k, back)
	require.EqualValues(t, 12, ordinal)
	for _, bad := range []string{"", "x", id + "0000000000", strings.ToUpper(id), id[1:], strings.Replace(id, "-12", "-012", 1), strings.Replace(id, "-12", "-0", 1), id + "-1"} {
		_, _, ok := ParseExternalID(bad)
		require.False(t, ok, bad)
	}
	require.Negative(t, Key{}.Compare(k))
	require.Negative(t, k.Compare(Key{Group: k.Group, Measure: [8]byte{8}}))
	require.Zero(t, k.Compare(back))
}
