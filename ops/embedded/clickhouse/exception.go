//go:build linux

package clickhouse

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"

	"github.com/stofstrom/stofstrom/ops/embedded/clickhouse/internal/wire"
)

// Exception is a refusal in ClickHouse's own shape. Code and Name are from the
// engine's list of error codes; clients match on Code.
type Exception struct {
	Code    int
	Name    string
	Message string
	text    string // the engine's complete text, when it is the engine's
}

// Codes this endpoint raises by itself, by ClickHouse's numbers.
const (
	codeBadArguments     = 36
	codeNotImplemented   = 48
	codeUnknownFormat    = 73
	codeTimeout          = 159
	codeReadonly         = 164
	codeTooManyQueries   = 202
	codeNetwork          = 210
	codeResultTooLarge   = 396
	codeAccessDenied     = 497
	codeAuthentication   = 516
	codeCannotDecompress = 271
	codeIncorrectData    = 117
	codeNotEnoughSpace   = 243
)

var codeNames = map[int]string{
	codeBadArguments: "BAD_ARGUMENTS", codeNotImplemented: "NOT_IMPLEMENTED", codeTimeout: "TIMEOUT_EXCEEDED",
	codeReadonly: "READONLY", codeTooManyQueries: "TOO_MANY_SIMULTANEOUS_QUERIES", codeNetwork: "NETWORK_ERROR",
	codeResultTooLarge: "TOO_MANY_ROWS_OR_BYTES", codeAccessDenied: "ACCESS_DENIED",
	codeAuthentication: "AUTHENTICATION_FAILED", codeCannotDecompress: "CANNOT_DECOMPRESS", codeIncorrectData: "INCORRECT_DATA",
	codeNotEnoughSpace: "NOT_ENOUGH_SPACE",
}

func exceptionf(code int, format string, args ...any) *Exception {
	return &Exception{Code: code, Name: codeNames[code], Message: fmt.Sprintf(format, args...)}
}

// Error returns the text a ClickHouse server would send.
func (e *Exception) Error() string {
	if e.text != "" {
		return e.text
	}
	return fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", e.Code, e.Message, e.Name)
}

var (
	engineCode = regexp.MustCompile(`^Code:\s*(\d+)\.\s*`)
	engineName = regexp.MustCompile(`\(([A-Z][A-Z0-9_]+)\)\s*$`)
)

// fromEngine reads code and name out of the engine's text.
func fromEngine(refusal *wire.EngineError) *Exception {
	e := &Exception{Code: 1002, Name: "UNKNOWN_EXCEPTION", Message: refusal.Message}
	m := engineCode.FindStringSubmatch(refusal.Message)
	if m == nil {
		return e
	}
	code, err := strconv.Atoi(m[1])
	if err != nil {
		return e
	}
	e.Code, e.text = code, refusal.Message
	if n := engineName.FindStringSubmatch(refusal.Message); n != nil {
		e.Name = n[1]
	}
	return e
}

// status is the HTTP status a ClickHouse server sends with the exception.
func (e *Exception) status() int {
	switch e.Code {
	case codeAuthentication, 192, 193, 194, codeAccessDenied, codeReadonly: // unknown user, wrong or missing password
		return http.StatusForbidden
	case 46, 47, 50, 56, 60, 81, 115, 16, 10: // an unknown function, identifier, type, engine, table, database, setting, column
		return http.StatusNotFound
	case 6, 26, 27, 28, 32, 33, 34, 36, 38, 41, 42, 43, 53, 57, 62, 63, 69, 70, 72, codeUnknownFormat, 117, 271, 386, 456, 457, 630: // what the client wrote is wrong
		return http.StatusBadRequest
	case codeNotImplemented:
		return http.StatusNotImplemented
	case codeNetwork, codeTooManyQueries:
		return http.StatusServiceUnavailable
	case 394: // QUERY_WAS_CANCELLED
		return http.StatusInternalServerError
	case codeTimeout:
		return http.StatusRequestTimeout
	default:
		return http.StatusInternalServerError
	}
}
