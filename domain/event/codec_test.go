package event_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/stofstrom/stofstrom/domain/event"
)

func TestEncodeThenDecodeGivesTheSameEvent(t *testing.T) {
	for name, e := range samples() {
		t.Run(name, func(t *testing.T) {
			p, err := event.Encode(e)
			require.NoError(t, err)
			require.Equal(t, e.Type(), p.Type)
			require.Equal(t, e.EventID(), p.ID)
			back, err := event.Decode(p.Type, p.Data)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(e, back))
		})
	}
}
