package eventstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRedact(t *testing.T) {
	for conn, want := range map[string]string{
		"":                                "",
		"esdb://localhost:2113?tls=false": "esdb://localhost:2113?tls=false",
		"esdb://admin:changeit@h:2113":    "esdb://admin:xxxxx@h:2113",
		"esdb://admin@h":                  "esdb://admin@h",
		"esdb+discover://u:p%40ss@h":      "esdb+discover://u:xxxxx@h",
		"esdb://u:p@ss@h1:1,h2:2":         "esdb://u:xxxxx@h1:1,h2:2",
		"esdb://u:a/b?c#d@h":              "esdb://u:xxxxx@h",
		"u:secret@h":                      "u:xxxxx@h",
		"esdb://u:a:b@h:1":                "esdb://u:xxxxx@h:1",
	} {
		require.Equal(t, want, Redact(conn), conn)
	}
}

func TestConnectionStrings(t *testing.T) {
	t.Run("OK", func(t *testing.T) {
		for _, conn := range []string{
			"esdb://localhost:2113?tls=false",
			"esdb://admin:changeit@localhost",
			"esdb://a:2113,b:2113,c:2113?tls=false&nodePreference=leader&gossipTimeout=3",
			"esdb+discover://u:p@cluster.example:2113?keepAliveInterval=15000&keepAliveTimeout=10000",
			"esdb://localhost?connectionName=projector&throwOnAppendFailure=true&defaultDeadline=5000&tlsVerifyCert=false",
		} {
			_, err := NewHolder(Config{Connection: conn})
			require.NoError(t, err, conn)
		}
	})
	t.Run("the deadline of the connection string", func(t *testing.T) {
		h, err := NewHolder(Config{Connection: "esdb://h?defaultDeadline=1500"})
		require.NoError(t, err)
		require.Equal(t, 1500*time.Millisecond, h.callTimeout)
		h, err = NewHolder(Config{Connection: "esdb://h?defaultDeadline=1500", CallTimeout: time.Second})
		require.NoError(t, err)
		require.Equal(t, time.Second, h.callTimeout)
	})
	t.Run("Err", func(t *testing.T) {
		for conn, says := range map[string]string{
			"":                                     "must not be empty",
			"localhost:2113":                       "must begin with esdb://",
			"http://localhost:2113":                "must begin with esdb://",
			"esdb://u:secret@host:port":            "port",
			"esdb://u:secret@":                     "host",
			"esdb://u:sec%ret@h":                   "u:xxxxx@h",
			"esdb://:secret@h":                     "empty username",
			"esdb://u:secret@h?tls=perhaps":        "tls",
			"esdb://u:secret@h?tsl=true":           `"tsl" is not known`,
			"esdb://u:secret@h?defaultDeadline=no": `defaultDeadline is "no"`,
			"esdb://u:secret@h?userCertFile=x":     "userKeyFile",
			"esdb://u:secret@h?nodePreference=me":  "NodePreference",
		} {
			_, err := NewHolder(Config{Connection: conn})
			require.ErrorContains(t, err, says, conn)
			require.NotContains(t, err.Error(), "secret", "an error that carries the password")
			require.NotContains(t, err.Error(), "sec%ret")
		}
	})
}
