package imports

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/stofstrom/stofstrom/domain/fault"
	"github.com/stofstrom/stofstrom/domain/flow"
	"github.com/stofstrom/stofstrom/ingest/profile"
)

// Language is what a returned file speaks.
type Language string

// The languages.
const (
	English Language = "en"
	Danish  Language = "da"
)

// Returned is the sender's own file with columns of results beside its rows.
// Close it after use.
type Returned struct {
	Name      string // for the receiver's disk
	MediaType string

	write func(w io.Writer) error
	close func() error
}

// Write writes the file.
func (r *Returned) Write(w io.Writer) error { return r.write(w) }

// Close frees what is held.
func (r *Returned) Close() error { return r.close() }

// Returned opens the file of a job that has ended, as it goes back to its
// sender: a workbook as a workbook, text as text. Errors: *fault.Fault of kind
// NotFound, or Conflict while the job is under way; or of the disk.
func (m *Manager) Returned(id string, lang Language) (*Returned, error) {
	m.mu.Lock()
	e, ok := m.jobs[id]
	var job Job
	if ok {
		job = e.man.Job
	}
	m.mu.Unlock()
	if !ok {
		return nil, fault.New(fault.NotFound, "there is no import %q", id)
	}
	if job.Status != Done && job.Status != Failed {
		return nil, fault.New(fault.Conflict, "the import is %s: its file can be had when it has ended", job.Status)
	}
	p, ok := m.deps.Profiles[job.Profile]
	if !ok {
		return nil, fault.New(fault.NotFound, "the profile %q of the import is not known any more", job.Profile)
	}
	bound, err := p.Bind(job.Parameters)
	if err != nil {
		return nil, err
	}
	lines, err := m.Report(id)
	if err != nil {
		return nil, err
	}
	f, src, err := body(e.dir)
	if err != nil {
		return nil, errors.Join(err, lines.Close())
	}
	book, err := profile.IsWorkbook(src)
	if err != nil {
		return nil, errors.Join(err, lines.Close(), f.Close())
	}
	words := wordsOf(lang)
	r := &Returned{MediaType: "text/csv; charset=" + bound.ReturnedCharset(), Name: returnedName(job, words, book)}
	if book {
		r.MediaType = WorkbookType
	}
	r.write = func(w io.Writer) error {
		n := &noter{lines: bufio.NewReaderSize(lines, 64<<10), words: words, trial: job.DryRun}
		return bound.Annotate(w, src, m.cfg.Limits, profile.Notes{Heading: words.headings, Of: n.of})
	}
	r.close = func() error { return errors.Join(lines.Close(), f.Close()) }
	return r, nil
}

// WorkbookType is the media type of XLSX.
const WorkbookType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// returnedName is the sender's name for the file with a word behind it.
func returnedName(job Job, words words, book bool) string {
	name := path.Base(strings.ReplaceAll(job.FileName, `\`, "/"))
	for _, packed := range []string{".gz", ".zst", ".zstd"} {
		name = strings.TrimSuffix(name, packed)
	}
	extension := ".csv"
	if book {
		extension = ".xlsx"
	}
	name = strings.TrimSuffix(name, path.Ext(name))
	if name = strings.Trim(name, "./"); name == "" {
		name = job.ID
	}
	return name + words.suffix + extension
}

// noter gives the notes of rows from the lines of a report, which stand in
// the same order.
type noter struct {
	lines *bufio.Reader
	words words
	trial bool
	next  Line
	ended bool
}

func (n *noter) of(line int) ([]string, error) {
	for !n.ended && n.next.Line < line {
		text, err := n.lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			n.ended = true
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read report: %w", err)
		}
		n.next = Line{}
		if err := json.Unmarshal(text, &n.next); err != nil {
			return nil, fmt.Errorf("read report: %w", err)
		}
		if n.next.Line == 0 { // what the file lacks comes last
			n.ended = true
		}
	}
	if n.ended || n.next.Line != line {
		return nil, nil // the job failed before it came here
	}
	status := n.words.status[n.next.Status]
	if n.trial {
		status = n.words.trial[n.next.Status]
	}
	return []string{status, n.words.remarks(n.next)}, nil
}

// words are what a returned file says in one language.
type words struct {
	headings []string
	suffix   string
	status   map[LineStatus]string
	trial    map[LineStatus]string // of a dry run
	warning  string
	sentence func(flow.Rule, fault.Violation) string
}

func wordsOf(lang Language) words {
	if lang == Danish {
		return words{
			headings: []string{profile.ResultPrefix + " resultat", profile.ResultPrefix + " bemærkninger"}, suffix: "-resultat", warning: "Advarsel: ",
			status: map[LineStatus]string{LineRecorded: "registreret", LineAlreadyRecorded: "allerede registreret", LineCorrected: "rettet",
				LineConflict: "strider mod det registrerede", LineRejected: "afvist", LineNew: "ny, venter"},
			trial: map[LineStatus]string{LineRecorded: "ville blive registreret", LineAlreadyRecorded: "allerede registreret", LineCorrected: "ville blive rettet",
				LineConflict: "strider mod det registrerede", LineRejected: "ville blive afvist", LineNew: "ny, ville vente"},
			sentence: func(r flow.Rule, _ fault.Violation) string { return r.TextDA },
		}
	}
	return words{
		headings: []string{profile.ResultPrefix + " result", profile.ResultPrefix + " remarks"}, suffix: "-result", warning: "Warning: ",
		status: map[LineStatus]string{LineRecorded: "recorded", LineAlreadyRecorded: "already recorded", LineCorrected: "corrected",
			LineConflict: "contradicts what is recorded", LineRejected: "rejected", LineNew: "new, held back"},
		trial: map[LineStatus]string{LineRecorded: "would be recorded", LineAlreadyRecorded: "already recorded", LineCorrected: "would be corrected",
			LineConflict: "contradicts what is recorded", LineRejected: "would be rejected", LineNew: "new, would be held back"},
		sentence: func(_ flow.Rule, v fault.Violation) string { return v.Message },
	}
}

// remarks are what is wrong with a row, one sentence each.
func (w words) remarks(line Line) string {
	var all []string
	add := func(prefix string, violations []fault.Violation) {
		for _, v := range violations {
			text := v.Message
			if rule, known := flow.RuleOf(v.Rule); known {
				text = w.sentence(rule, v)
			}
			if v.Field != "" {
				text = v.Field + ": " + text
			}
			if v.Value != "" {
				text += " [" + v.Value + "]"
			}
			all = append(all, prefix+text)
		}
	}
	add("", line.Violations)
	add(w.warning, line.Warnings)
	return strings.Join(all, " · ")
}
