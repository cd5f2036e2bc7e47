package eventstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stofstrom/stofstrom/domain/eventlog"
)

// ErrDenied says that the log refused the credentials, or what was asked for
// with them. Trying again does not help.
var ErrDenied = errors.New("event log denies access")

// reasonDiskFull is how a server says in a status detail that its disk is full.
const reasonDiskFull = "DISK_FULL"

// verdict is what an error of the client says about the request.
type verdict uint8

const (
	verdictUnknown  verdict = iota // may have been done: try again the same way
	verdictNotDone                 // was not done; may be tried again
	verdictRefused                 // was not done and will not be
	verdictConflict                // the stream is not as expected
)

// judge reads an error of the client and returns what it means, as an error of
// the port.
func judge(err error) (verdict, error) {
	var client *esdb.Error
	if errors.As(err, &client) {
		switch client.Code() {
		case esdb.ErrorCodeWrongExpectedVersion:
			return verdictConflict, err
		case esdb.ErrorCodeStreamDeleted:
			return verdictRefused, fmt.Errorf("%w: %w", eventlog.ErrStreamDeleted, err)
		case esdb.ErrorCodeUnauthenticated, esdb.ErrorCodeAccessDenied:
			return verdictRefused, fmt.Errorf("%w: %w", ErrDenied, err)
		case esdb.ErrorCodeUnsupportedFeature:
			return verdictRefused, fmt.Errorf("not supported by the event log: %w", err)
		case esdb.ErrorCodeNotLeader, esdb.ErrorCodeConnectionClosed:
			return verdictNotDone, fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
		default:
			// The status below says more.
		}
	}
	return judgeStatus(err)
}

func judgeStatus(err error) (verdict, error) {
	st, ok := grpcStatus(err)
	if !ok {
		return verdictUnknown, fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
	}
	if isDiskFull(st) {
		return verdictRefused, fmt.Errorf("%w: %w", eventlog.ErrNoRoom, err)
	}
	switch st.Code() {
	case codes.ResourceExhausted:
		return verdictRefused, fmt.Errorf("%w: %w", eventlog.ErrNoRoom, err)
	case codes.InvalidArgument, codes.OutOfRange:
		return verdictRefused, fmt.Errorf("event log refuses the request: %w", err)
	case codes.Unauthenticated, codes.PermissionDenied:
		return verdictRefused, fmt.Errorf("%w: %w", ErrDenied, err)
	case codes.Unimplemented:
		return verdictRefused, fmt.Errorf("not supported by the event log: %w", err)
	default:
		return verdictUnknown, fmt.Errorf("%w: %w", eventlog.ErrUnavailable, err)
	}
}

// grpcStatus finds the status an error carries. io.EOF carries none: the
// server ended the call early and the client did not ask why.
func grpcStatus(err error) (*status.Status, bool) {
	var carrier interface{ GRPCStatus() *status.Status }
	if errors.As(err, &carrier) {
		return carrier.GRPCStatus(), true
	}
	return nil, false
}

func isDiskFull(st *status.Status) bool {
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetReason() == reasonDiskFull {
			return true
		}
	}
	return false
}

// isNotFound tells that a stream does not exist, or has no events left.
func isNotFound(err error) bool {
	var client *esdb.Error
	return errors.As(err, &client) && client.Code() == esdb.ErrorCodeResourceNotFound
}

// connectionSpent tells that the client that gave this error must be replaced.
// A lost connection is noticed earlier, by generation.logging.
func connectionSpent(err error) bool {
	var client *esdb.Error
	return errors.As(err, &client) && client.Code() == esdb.ErrorCodeConnectionClosed
}

// endedByCaller adds the caller's own reason to an error of the port, so that
// both can be matched.
func endedByCaller(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}
