package intake

import (
	"context"
	"iter"

	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/index"
)

// Service is the write path. Make it with New, run it with Run; all other
// methods may be called from any goroutine.
type Service struct{}

// New makes an inert service.
func New(Config, Deps) *Service { panic("being written") }

// Submit decides and records the items and returns one result per item, in
// their order. It waits until the service is ready, and returns when every
// item has its outcome: durable, refused, or unavailable. When ctx ends,
// items that were not yet taken up answer its error; the others are waited
// for. A queue that has no room for all items answers Unavailable at once for
// every one.
func (s *Service) Submit(ctx context.Context, items []Item) []Result { panic("being written") }

// Lookup tells where an identity stands: its ledger stream and status. found
// is false when the log does not know it. It waits until the service is ready.
func (s *Service) Lookup(ctx context.Context, id flow.Identity) (entry index.Entry, found bool, err error) {
	panic("being written")
}

// Scope yields the live identities of a reporter and source, each with its
// entry, in no particular order. It sees what was durable when it was called.
// An error is yielded once, as the last element.
func (s *Service) Scope(ctx context.Context, reporter, source string) iter.Seq2[Live, error] {
	panic("being written")
}

// Live is an identity that stands in the books.
type Live struct {
	Identity flow.Identity
	Entry    index.Entry
}

// Run follows the log, keeps index and register current, and writes what is
// submitted, until ctx ends. It returns nil then, and an error when the index
// or the log fails for good.
func (s *Service) Run(ctx context.Context) error { panic("being written") }

// Ready is closed once index and register have caught up with the log and the
// built-in areas are registered.
func (s *Service) Ready() <-chan struct{} { panic("being written") }
