package eventstore

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

var anOrigin = Origin{
	Position:   eventlog.Position{Commit: 1 << 40, Prepare: 1<<40 - 7},
	RecordedAt: time.Date(2024, 2, 29, 23, 59, 59, 123456700, time.UTC),
}

func TestMetadataOfACopyComesBackByteByByte(t *testing.T) {
	for _, meta := range []string{
		``, `{}`, `{ }`, "{\n}", `{"a":1}`, `{ "a" : {"b":"}"} , "$correlationId":"x" }`, ` {"a":1}`, `{"a":1,"a":2}`, `{"a"`, `{,}`,
		`[1,2]`, `null`, `"text"`, "\x00\xff}", `{"$copied_from":"mine"}`, `{"$copied_from":{"position":"C:1/P:1"}}`,
	} {
		raw, err := withOrigin([]byte(meta), anOrigin)
		require.NoError(t, err, meta)
		got, o, ok := splitOrigin(raw)
		require.True(t, ok, "%q became %q", meta, raw)
		require.Equal(t, meta, string(got), "by way of %q", raw)
		require.Equal(t, anOrigin, o, meta)
	}
	raw, err := withOrigin([]byte(`{"actor":"x"}`), anOrigin)
	require.NoError(t, err)
	require.Equal(t, `{"$copied_from":{"position":"C:1099511627776/P:1099511627769","recorded_at":"2024-02-29T23:59:59.1234567Z"},"actor":"x"}`, string(raw),
		"stored bytes are for ever")
}

func TestMetadataThatIsNoCopyIsLeftAlone(t *testing.T) {
	for _, meta := range []string{
		``, `{}`, `{"a":1}`, `{"$copied_from":"mine"}`, `{"$copied_from":{}}`, `{"$copied_from":{"position":"C:1/P:1"}}`,
		`{"$copied_from":{"position":"C:1/P:1","recorded_at":"today"}}`, `{"$copied_from":{`, `{"$copied_from":{"position":"C:1/P:1","recorded_at":"2024-02-29T00:00:00Z"}`,
		`{"$copied_from":{"position":"C:1/P:1","recorded_at":"2024-02-29T00:00:00Z","x":1}}`,
	} {
		got, _, ok := splitOrigin([]byte(meta))
		require.False(t, ok, meta)
		require.Equal(t, meta, string(got))
	}
}

func TestRecordedTimeOfACopyIsNeverLaterThanTheCopy(t *testing.T) {
	meta, err := withOrigin(nil, anOrigin)
	require.NoError(t, err)
	later := anOrigin.RecordedAt.Add(time.Hour)
	e, o := asRecorded(eventlog.Recorded{Meta: meta, RecordedAt: later})
	require.Equal(t, anOrigin.RecordedAt, e.RecordedAt)
	require.Empty(t, e.Meta)
	require.Equal(t, anOrigin, *o)
	earlier := anOrigin.RecordedAt.Add(-time.Hour)
	e, _ = asRecorded(eventlog.Recorded{Meta: meta, RecordedAt: earlier})
	require.Equal(t, earlier, e.RecordedAt, "the clock of the first log was ahead")
}

func FuzzOrigin(f *testing.F) {
	f.Add([]byte(`{"a":1}`))
	f.Add([]byte(`{"$copied_from":{"position":"C:1/P:1","recorded_at":"2024-02-29T00:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, meta []byte) {
		raw, err := withOrigin(meta, anOrigin)
		if err != nil {
			t.Fatal(err)
		}
		got, o, ok := splitOrigin(raw)
		if !ok || !bytes.Equal(meta, got) || o != anOrigin {
			t.Fatalf("%q became %q and came back as %q", meta, raw, got)
		}
		splitOrigin(meta)
	})
}
