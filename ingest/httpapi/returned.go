package httpapi

import (
	"mime"
	"net/http"

	"golang.org/x/text/language"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/imports"
)

// languages are those that a returned file speaks; the first when none fits.
var (
	languages = []imports.Language{imports.English, imports.Danish}
	matcher   = language.NewMatcher([]language.Tag{language.English, language.Danish})
)

// wantedLanguage is what the query says, or what the client's program does.
func wantedLanguage(r *http.Request) (imports.Language, error) {
	switch lang := r.URL.Query().Get("lang"); imports.Language(lang) {
	case imports.English, imports.Danish:
		return imports.Language(lang), nil
	case "":
	default:
		return "", &fault.Fault{Kind: fault.Invalid, Detail: "the query is not accepted", Violations: []fault.Violation{
			flow.Violates("query-malformed", "lang", lang, "It must be en or da."),
		}}
	}
	_, at := language.MatchStrings(matcher, r.Header.Get("Accept-Language"))
	return languages[at], nil
}

// getReturned gives the sender's own file back, with the results beside its
// rows.
func (h *Handler) getReturned(w http.ResponseWriter, r *http.Request) error {
	lang, err := wantedLanguage(r)
	if err != nil {
		return err
	}
	file, err := h.deps.Imports.Returned(r.PathValue("id"), lang)
	if err != nil {
		return err
	}
	defer file.Close()
	w.Header().Set("Content-Type", file.MediaType)
	w.Header().Set("Content-Language", string(lang))
	w.Header().Add("Vary", "Accept-Language")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": file.Name}))
	if err := file.Write(&timedWriter{w: w, h: h}); err != nil {
		note(r.Context(), err)
		panic(http.ErrAbortHandler) // as in getReport
	}
	return nil
}
