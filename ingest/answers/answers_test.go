package answers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/stofstrom/stofstrom/ingest/answers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a clock that tests move.
type clock struct{ now time.Time }

func open(t *testing.T, cfg answers.Config, c *clock) *answers.Store {
	t.Helper()
	if c.now.IsZero() {
		c.now = time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)
	}
	cfg.Now = func() time.Time { return c.now }
	s, err := answers.Open(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func keep(t *testing.T, s *answers.Store, sender, key, body string) {
	t.Helper()
	before, turn, err := s.Begin(sender, key)
	require.NoError(t, err)
	require.Nil(t, before)
	defer turn.End()
	require.NoError(t, turn.Keep(answers.Answer{Request: "POST /x", Digest: [32]byte{1}, Status: 201, Header: map[string][]string{"Location": {"/y"}}, Body: []byte(body)}))
}

func kept(t *testing.T, s *answers.Store, sender, key string) *answers.Answer {
	t.Helper()
	before, turn, err := s.Begin(sender, key)
	require.NoError(t, err)
	if turn != nil {
		turn.End()
	}
	return before
}

func TestAnAnswerIsGivenBackAlsoAfterARestart(t *testing.T) {
	dir, c := t.TempDir(), &clock{}
	s := open(t, answers.Config{Dir: dir}, c)
	keep(t, s, "a", "k", "hello")
	require.NoError(t, s.Close())
	s = open(t, answers.Config{Dir: dir}, c)
	a := kept(t, s, "a", "k")
	require.Equal(t, &answers.Answer{Request: "POST /x", Digest: [32]byte{1}, Status: 201, Header: map[string][]string{"Location": {"/y"}},
		Body: []byte("hello"), At: c.now}, a)
	require.Nil(t, kept(t, s, "b", "k"), "another sender's key")
	require.Nil(t, kept(t, s, "", "ak"), "sender and key do not run together")
}

func TestAnAnswerGrowsOldAndItsKeyIsFreeAgain(t *testing.T) {
	c := &clock{}
	s := open(t, answers.Config{Dir: t.TempDir(), KeepFor: time.Hour}, c)
	keep(t, s, "a", "k", "first")
	c.now = c.now.Add(time.Hour - time.Nanosecond)
	require.NotNil(t, kept(t, s, "a", "k"))
	c.now = c.now.Add(time.Nanosecond)
	keep(t, s, "a", "k", "second")
	c.now = c.now.Add(time.Minute)
	keep(t, s, "a", "other", "x")
	require.Equal(t, "second", string(kept(t, s, "a", "k").Body))
}

func TestTheOldestGoWhenThereAreTooMany(t *testing.T) {
	for name, cfg := range map[string]answers.Config{"answers": {MaxAnswers: 3}, "bytes": {MaxBytes: 1000}} {
		t.Run(name, func(t *testing.T) {
			dir, c := t.TempDir(), &clock{}
			cfg.Dir = dir
			s := open(t, cfg, c)
			for i := range 10 {
				if i == 5 { // the count is taken again at the start
					require.NoError(t, s.Close())
					s = open(t, cfg, c)
				}
				c.now = c.now.Add(time.Second)
				keep(t, s, "a", fmt.Sprint(i), string(make([]byte, 100)))
			}
			for i := range 10 {
				require.Equal(t, i >= 7, kept(t, s, "a", fmt.Sprint(i)) != nil, i)
			}
		})
	}
}

func TestOneRequestWithAKeyAtATime(t *testing.T) {
	c := &clock{}
	s := open(t, answers.Config{Dir: t.TempDir()}, c)
	_, turn, err := s.Begin("a", "k")
	require.NoError(t, err)
	_, _, err = s.Begin("a", "k")
	require.ErrorIs(t, err, answers.ErrUnderWay)
	turn.End()
	require.Nil(t, kept(t, s, "a", "k"), "nothing was kept")
	require.NoError(t, s.Close())
	_, _, err = s.Begin("a", "k")
	require.ErrorIs(t, err, answers.ErrClosed)
}
