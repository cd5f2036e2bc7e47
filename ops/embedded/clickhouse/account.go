//go:build linux

package clickhouse

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// role is what an account may do.
type role string

const (
	roleAdmin      role = "admin"
	roleResearcher role = "researcher"
)

// account is a name, the digest of its password and its role.
type account struct {
	role         role
	name         string
	nameHash     [32]byte
	passwordHash [32]byte
}

func newAccount(r role, name, password string) account {
	return account{role: r, name: name, nameHash: sha256.Sum256([]byte(name)), passwordHash: sha256.Sum256([]byte(password))}
}

// authenticate finds the account of a request. Credentials come in one of three
// ways: X-ClickHouse-User and -Key headers, HTTP basic authentication, or the
// URL parameters user and password. Comparison takes the same time for every
// name and password.
func (s *Server) authenticate(r *http.Request, params url.Values) (role, *Exception) {
	name, password, problem := credentials(r, params)
	if problem != nil {
		return "", problem
	}
	nameHash, passwordHash := sha256.Sum256([]byte(name)), sha256.Sum256([]byte(password))
	var found role
	for _, a := range s.accounts {
		if subtle.ConstantTimeCompare(a.nameHash[:], nameHash[:])&subtle.ConstantTimeCompare(a.passwordHash[:], passwordHash[:]) == 1 {
			found = a.role
		}
	}
	if found == "" {
		return "", exceptionf(codeAuthentication, "%s: Authentication failed: password is incorrect, or there is no user with such name", name)
	}
	return found, nil
}

func credentials(r *http.Request, params url.Values) (name, password string, _ *Exception) {
	ways := 0
	if r.Header.Get("X-Clickhouse-User") != "" || r.Header.Get("X-Clickhouse-Key") != "" {
		name, password = r.Header.Get("X-Clickhouse-User"), r.Header.Get("X-Clickhouse-Key")
		ways++
	}
	if r.Header.Get("Authorization") != "" {
		basicName, basicPassword, ok := r.BasicAuth()
		if !ok {
			return "", "", exceptionf(codeAuthentication, "Authentication failed: the Authorization header is not basic authentication")
		}
		name, password = basicName, basicPassword
		ways++
	}
	if params.Has("user") || params.Has("password") {
		name, password = params.Get("user"), params.Get("password")
		ways++
	}
	if ways > 1 {
		return "", "", exceptionf(codeAuthentication, "Authentication failed: credentials came in more than one way; use X-ClickHouse headers, basic authentication or URL parameters")
	}
	if name == "" {
		name = "default"
	}
	return name, password, nil
}

// foreign says why a request must be refused as coming from somewhere else: a
// Host header that is not this machine's (DNS rebinding), or a web page of
// another origin.
func (s *Server) foreign(r *http.Request) *Exception {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	if host != "localhost" && (ip == nil || !ip.IsLoopback()) && !slices.Contains(s.cfg.AllowedHosts, host) {
		return exceptionf(codeAccessDenied, "Host %q is not a name of this server", r.Host)
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return exceptionf(codeAccessDenied, "Request comes from a web page of another site (Sec-Fetch-Site %q)", site)
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			return exceptionf(codeAccessDenied, "Request comes from a web page of origin %q", origin)
		}
	}
	return nil
}
