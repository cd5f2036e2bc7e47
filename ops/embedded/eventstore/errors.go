package eventstore

import (
	"context"
	"errors"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/stofstrom/stofstrom/ops/embedded/eventstore/store"
)

// Trailers by which EventStoreDB tells clients what went wrong.
const (
	trailerException       = "exception"
	trailerStreamName      = "stream-name"
	trailerExpectedVersion = "expected-version"
	trailerActualVersion   = "actual-version"
	trailerMaxAppendSize   = "maximum-append-size"
	trailerRequiredKeys    = "required-metadata-properties"

	errorDomain = "stofstrom.dk/eventstore"
	// ReasonDiskFull is the ErrorInfo reason of a write that was refused for
	// lack of disk space, with code ResourceExhausted.
	ReasonDiskFull = "DISK_FULL"
	// ReasonDataLoss is the ErrorInfo reason of damage found on disk.
	ReasonDataLoss = "DATA_LOSS"
)

// appendTooLargeError refuses an append above the limit.
type appendTooLargeError struct{ bytes, limit int }

func (e *appendTooLargeError) Error() string {
	return "Maximum Append Size of " + strconv.Itoa(e.limit) + " Exceeded: " + strconv.Itoa(e.bytes) + " bytes."
}

// expectedVersionNumber is the expectation as EventStoreDB numbers it.
func expectedVersionNumber(e store.Expected) int64 {
	switch e.Kind {
	case store.ExpectAny:
		return -2
	case store.ExpectNoStream:
		return -1
	case store.ExpectStreamExists:
		return -4
	case store.ExpectRevision:
		return int64(e.Revision)
	}
	return -2
}

// describe maps an error to the status and the trailers the protocol wants.
// It is the one place where this is decided.
func describe(err error) (*status.Status, metadata.MD) {
	var (
		deleted  *store.StreamDeletedError
		conflict *store.WrongRevisionError
		full     *store.DiskFullError
		damaged  *store.CorruptionError
		tooLarge *appendTooLargeError
		missing  *missingMetadataError
	)
	switch {
	case errors.As(err, &deleted):
		return status.New(codes.FailedPrecondition, "Event stream '"+deleted.Stream+"' is deleted."),
			metadata.Pairs(trailerException, "stream-deleted", trailerStreamName, headerText(deleted.Stream))
	case errors.As(err, &conflict):
		return status.New(codes.FailedPrecondition, "Append failed due to WrongExpectedVersion: "+conflict.Error()),
			metadata.Pairs(trailerException, "wrong-expected-version", trailerStreamName, headerText(conflict.Stream),
				trailerExpectedVersion, strconv.FormatInt(expectedVersionNumber(conflict.Expected), 10),
				trailerActualVersion, strconv.FormatInt(conflict.Current, 10))
	case errors.As(err, &tooLarge):
		return status.New(codes.InvalidArgument, tooLarge.Error()),
			metadata.Pairs(trailerException, "maximum-append-size-exceeded", trailerMaxAppendSize, strconv.Itoa(tooLarge.limit))
	case errors.As(err, &missing):
		return status.New(codes.InvalidArgument, missing.Error()),
			metadata.Pairs(trailerException, "missing-required-metadata-property", trailerRequiredKeys, metaType+","+metaContentType)
	case errors.As(err, &full):
		return withReason(codes.ResourceExhausted, err, ReasonDiskFull, map[string]string{
			"free_bytes":    strconv.FormatUint(full.FreeBytes, 10),
			"reserve_bytes": strconv.FormatUint(full.ReserveBytes, 10),
		}), nil
	case errors.As(err, &damaged):
		return withReason(codes.DataLoss, err, ReasonDataLoss, map[string]string{
			"position": strconv.FormatUint(damaged.Position, 10),
		}), nil
	case errors.Is(err, store.ErrStopped):
		return status.New(codes.Unavailable, "Server Is Not Ready: "+err.Error()), metadata.Pairs(trailerException, "not-ready")
	case errors.Is(err, store.ErrOutcomeUnknown):
		return status.New(codes.Aborted, err.Error()), nil
	case errors.Is(err, store.ErrInvalidStream), errors.Is(err, errInvalidRequest), errors.Is(err, errWire):
		return status.New(codes.InvalidArgument, err.Error()), nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err), nil
	}
	if st, ok := status.FromError(err); ok {
		return st, nil
	}
	return status.New(codes.Unknown, err.Error()), nil
}

var errInvalidRequest = errors.New("invalid request")

func withReason(code codes.Code, err error, reason string, info map[string]string) *status.Status {
	st := status.New(code, err.Error())
	detailed, detailErr := st.WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: errorDomain, Metadata: info})
	if detailErr != nil {
		return st // the text says it as well
	}
	return detailed
}

// headerText makes a name fit for a header: control characters in one would
// break the connection.
func headerText(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return strconv.QuoteToASCII(s)
		}
	}
	return s
}

// fail turns an error into the call's answer.
func fail(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	st, trailers := describe(err)
	if len(trailers) > 0 {
		if err := grpc.SetTrailer(ctx, trailers); err != nil {
			return status.Errorf(codes.Internal, "%s (and the trailers were refused: %v)", st.Message(), err)
		}
	}
	return st.Err()
}
