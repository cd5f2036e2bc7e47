package analytics

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/stofstrom/stofstrom/domain/fault"
)

// words are the values of dimensions that have no list of their own: what
// sources ever said. What was said once was said for ever, so that they are
// read only when a question names one that is not known yet.
type words struct {
	mu    sync.Mutex
	known map[Dimension]map[string]bool // guarded by mu; the maps themselves are never changed
}

// maxWordsNamed is how many words a refusal lists.
const maxWordsNamed = 25

// unknownWords finds the filter values that no source ever said up to a moment.
func (s *Service) unknownWords(ctx context.Context, q FlowQuery, m Moment) ([]fault.Violation, error) {
	known := s.words.load()
	missing := func(d Dimension) (list []string) {
		for _, word := range q.Filters[d] {
			if word != notStated && !known[d][word] {
				list = append(list, word)
			}
		}
		return list
	}
	if len(missing(SiteCategory))+len(missing(Fate)) == 0 {
		return nil, nil
	}
	bind := map[string]any{"builds": m.builds, "watermark": m.watermark, "committed": m.Position}
	var sites, fates []string
	err := each(ctx, s.conn, s.wordsQuery, bind, func(scan func(...any) error) error { return scan(&sites, &fates) })
	if err != nil {
		return nil, fmt.Errorf("read words: %w", err)
	}
	known = map[Dimension]map[string]bool{SiteCategory: set(sites), Fate: set(fates)}
	s.words.store(known)
	var violations []fault.Violation
	for _, d := range []Dimension{SiteCategory, Fate} {
		for _, word := range missing(d) {
			all := slices.DeleteFunc(slices.Sorted(maps.Keys(known[d])), func(w string) bool { return w == "" })
			violations = append(violations, violation("question-value", string(d), word,
				"was never reported up to position %d; reported: %s", m.Position, join(all[:min(len(all), maxWordsNamed)])))
		}
	}
	return violations, nil
}

func (w *words) load() map[Dimension]map[string]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known
}

func (w *words) store(known map[Dimension]map[string]bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known = known
}

func set(list []string) map[string]bool {
	s := make(map[string]bool, len(list))
	for _, word := range list {
		s[word] = true
	}
	return s
}
