package eventstore

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// settings are the query parameters a connection string may carry. The client
// itself only prints a line about one it does not know, to the console.
func settings() []string {
	return []string{
		"connectionname", "defaultdeadline", "discoveryinterval", "gossiptimeout",
		"keepaliveinterval", "keepalivetimeout", "maxdiscoverattempts", "nodepreference",
		"throwonappendfailure", "tls", "tlscafile", "tlsverifycert", "usercertfile", "userkeyfile",
	}
}

// ignoredSettings are those other clients know and this one does not: they are
// accepted, so that one connection string serves all, and taken out.
func ignoredSettings() []string { return []string{"connectionname", "throwonappendfailure"} }

// Redact returns the connection string with its password replaced, fit for a
// log line. It works on strings that do not parse as well: whatever stands
// between the scheme and the last @ is taken for credentials.
func Redact(conn string) string {
	scheme, rest, ok := strings.Cut(conn, "://")
	if !ok {
		scheme, rest = "", conn
	} else {
		scheme += "://"
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return conn
	}
	user, _, hasPassword := strings.Cut(rest[:at], ":")
	if hasPassword {
		user += ":xxxxx"
	}
	return scheme + user + rest[at:]
}

// parse turns a connection string into the client's configuration. Its errors
// name the setting and never carry the credentials.
func parse(conn string) (*esdb.Configuration, error) {
	if conn == "" {
		return nil, errors.New("connection string: must not be empty, for example esdb://localhost:2113?tls=false")
	}
	scheme, _, ok := strings.Cut(conn, "://")
	if !ok || scheme != "esdb" && scheme != "esdb+discover" {
		return nil, errors.New("connection string: must begin with esdb:// or esdb+discover://")
	}
	clean, err := checkSettings(conn)
	if err != nil {
		return nil, err
	}
	conf, err := esdb.ParseConnectionString(clean)
	if err != nil {
		// An *url.Error repeats the whole string, password included.
		var parseErr *url.Error
		if errors.As(err, &parseErr) {
			err = parseErr.Err
		}
		return nil, fmt.Errorf("connection string %s: %s", Redact(conn), scrub(err.Error(), conn))
	}
	return conf, nil
}

// scrub takes the userinfo of conn out of a text that may repeat it.
func scrub(text, conn string) string {
	_, rest, _ := strings.Cut(conn, "://")
	at := strings.LastIndexByte(rest, '@')
	if at < 0 {
		return text
	}
	userinfo := rest[:at]
	_, password, _ := strings.Cut(userinfo, ":")
	for _, secret := range []string{userinfo, password} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "xxxxx")
		}
	}
	return text
}

// checkSettings refuses unknown query parameters and takes out those that only
// other clients know.
func checkSettings(conn string) (string, error) {
	head, query, ok := strings.Cut(conn[strings.LastIndexByte(conn, '@')+1:], "?")
	head = conn[:strings.LastIndexByte(conn, '@')+1] + head
	if !ok {
		return conn, nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", fmt.Errorf("connection string: settings after ?: %w", err)
	}
	for key, vs := range values {
		name := strings.ToLower(key)
		if !slices.Contains(settings(), name) {
			return "", fmt.Errorf("connection string: setting %q is not known; known are %s", key, strings.Join(settings(), ", "))
		}
		if slices.Contains(ignoredSettings(), name) {
			values.Del(key)
			continue
		}
		if name == "defaultdeadline" { // the client drops a wrong one silently
			if ms, err := strconv.Atoi(vs[0]); err != nil || ms < 1 {
				return "", fmt.Errorf("connection string: setting %s is %q, must be a whole number of milliseconds above 0", key, vs[0])
			}
		}
	}
	if len(values) == 0 {
		return head, nil
	}
	return head + "?" + values.Encode(), nil
}
