package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
)

// decision is one architecture decision record.
type decision struct {
	file, number, title, status string
}

var (
	adrFile   = regexp.MustCompile(`^(\d{4})-[a-z0-9]+(?:-[a-z0-9]+)*\.md$`)
	adrTitle  = regexp.MustCompile(`^# (\d{4}): (.+)$`)
	adrStatus = regexp.MustCompile(`^\*Status\*: (accepted|proposed|replaced by \d{4}) · \*Date\*: \d{4}-\d{2}-\d{2}$`)
)

// decisions reads the records in a folder, by number; the template, 0000, is
// none. It fails on a number that stands twice, and on a record whose first
// lines are not those of the template.
func decisions(dir string) ([]decision, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []decision
	files := map[string]string{}
	for _, e := range entries {
		m := adrFile.FindStringSubmatch(e.Name())
		switch {
		case e.Name() == "README.md", m != nil && m[1] == "0000":
			continue
		case m == nil:
			return nil, fmt.Errorf("%s: the name is not a number of four digits and words in small letters", e.Name())
		case files[m[1]] != "":
			return nil, fmt.Errorf("%s: the number is taken by %s", e.Name(), files[m[1]])
		}
		files[m[1]] = e.Name()
		d, err := readDecision(filepath.Join(dir, e.Name()), m[1])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		d.file = e.Name()
		all = append(all, d)
	}
	return all, nil
}

func readDecision(path, number string) (decision, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return decision{}, err
	}
	var head []string
	for lines := bufio.NewScanner(bytes.NewReader(text)); len(head) < 3 && lines.Scan(); {
		head = append(head, lines.Text())
	}
	if len(head) < 3 {
		return decision{}, io.ErrUnexpectedEOF
	}
	title, status := adrTitle.FindStringSubmatch(head[0]), adrStatus.FindStringSubmatch(head[2])
	switch {
	case title == nil || title[1] != number:
		return decision{}, fmt.Errorf("line 1 is not \"# %s: what was decided\": %s", number, head[0])
	case status == nil:
		return decision{}, fmt.Errorf("line 3 is not status and date: %s", head[2])
	}
	return decision{number: number, title: title[2], status: status[1]}, nil
}

// writeDecisions writes the index of the records in a folder.
func writeDecisions(dir string) func(io.Writer) error {
	return func(w io.Writer) error {
		all, err := decisions(dir)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		b.WriteString("# Decisions\n\nGenerated from the records beside it; do not edit. A number belongs to one record and is never used again.\n" +
			"A new record starts as a copy of [0000-template.md](0000-template.md).\n\n| number | decision | status |\n|---|---|---|\n")
		for _, d := range all {
			fmt.Fprintf(&b, "| [%s](%s) | %s | %s |\n", d.number, d.file, d.title, d.status)
		}
		_, err = w.Write(b.Bytes())
		return err
	}
}
