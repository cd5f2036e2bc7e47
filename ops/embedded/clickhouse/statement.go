//go:build linux

package clickhouse

import "strings"

// token is a piece of SQL text: text[start:end] is what stands there.
type token struct {
	start, end int
	kind       tokenKind
}

type tokenKind int

const (
	tokenWord   tokenKind = iota // bare identifier or keyword
	tokenQuoted                  // identifier in backticks or double quotes
	tokenString                  // literal in single quotes or a heredoc
	tokenOther                   // one byte of punctuation or of a number
)

// nextToken returns the token at or after pos, skipping blanks and comments,
// and false at the end of the text.
func nextToken(text string, pos int) (token, bool) {
	pos = skipBlank(text, pos)
	if pos >= len(text) {
		return token{}, false
	}
	switch c := text[pos]; {
	case c == '\'':
		return token{pos, quotedEnd(text, pos), tokenString}, true
	case c == '`' || c == '"':
		return token{pos, quotedEnd(text, pos), tokenQuoted}, true
	case c == '$':
		if end, ok := heredocEnd(text, pos); ok {
			return token{pos, end, tokenString}, true
		}
	case wordByte(c) && (c < '0' || c > '9'):
		end := pos
		for end < len(text) && (wordByte(text[end])) {
			end++
		}
		return token{pos, end, tokenWord}, true
	}
	return token{pos, pos + 1, tokenOther}, true
}

func wordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

func skipBlank(text string, pos int) int {
	for pos < len(text) {
		rest := text[pos:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			pos++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "#!"), strings.HasPrefix(rest, "# "):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				return len(text)
			}
			pos += end + 1
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return len(text)
			}
			pos += 2 + end + 2
		default:
			return pos
		}
	}
	return pos
}

func quotedEnd(text string, pos int) int {
	quote := text[pos]
	for i := pos + 1; i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case text[i] == quote && i+1 < len(text) && text[i+1] == quote:
			i++
		case text[i] == quote:
			return i + 1
		}
	}
	return len(text)
}

func heredocEnd(text string, pos int) (int, bool) {
	tag := strings.IndexByte(text[pos+1:], '$')
	if tag < 0 {
		return 0, false
	}
	mark := text[pos : pos+1+tag+1]
	for _, c := range []byte(mark[1 : len(mark)-1]) {
		if !wordByte(c) {
			return 0, false
		}
	}
	end := strings.Index(text[pos+len(mark):], mark)
	if end < 0 {
		return 0, false
	}
	return pos + len(mark) + end + len(mark), true
}

// word returns the keyword of a bare word in capitals, else "".
func (t token) word(text string) string {
	if t.kind != tokenWord {
		return ""
	}
	return strings.ToUpper(text[t.start:t.end])
}

// insert is an INSERT that brings its rows along, taken apart so that the rows
// can come from a spooled file instead.
type insert struct {
	Target   string // "INSERT INTO db.table (columns)"
	Settings string // "SETTINGS …" or empty
	Format   string // format of the rows
	Data     int    // offset in the text at which the rows begin; len(text) when none are in it
}

// fromFile returns the statement that reads the rows from path.
func (i insert) fromFile(path string) string {
	return i.Target + " FROM INFILE " + quote(path) + " COMPRESSION 'none' " + i.Settings + " FORMAT " + i.Format
}

// parseInsert takes an INSERT with rows apart. It returns false for every other
// statement, INSERT … SELECT among them, which the engine runs as it stands.
func parseInsert(text string) (insert, bool) {
	t, ok := nextToken(text, 0)
	if !ok || t.word(text) != "INSERT" {
		return insert{}, false
	}
	pos, ok := insertTarget(text, t.end)
	if !ok {
		return insert{}, false
	}
	found := insert{Target: text, Format: "Values", Data: len(text)}
	settings, depth, first := -1, 0, false
	for {
		t, ok := nextToken(text, pos)
		if !ok {
			break
		}
		pos = t.end
		mark := text[t.start:t.end]
		switch {
		case mark == "(":
			depth, first = depth+1, true
			continue
		case mark == ")":
			depth--
		case mark == ";" && depth == 0:
			return found.cut(text, t.start, settings), true
		}
		switch word := t.word(text); {
		case first && (word == "SELECT" || word == "WITH"), depth == 0 && (word == "SELECT" || word == "WITH" || word == "FROM" || word == "WATCH" || word == "EXPLAIN"):
			return insert{}, false
		case depth == 0 && word == "SETTINGS":
			settings = t.start
		case depth == 0 && word == "VALUES":
			found.Data = t.end
			return found.cut(text, t.start, settings), true
		case depth == 0 && word == "FORMAT":
			name, ok := nextToken(text, t.end)
			if !ok || name.kind != tokenWord {
				return insert{}, false
			}
			found.Format = text[name.start:name.end]
			found.Data = dataStart(text, name.end)
			return found.cut(text, t.start, settings), true
		}
		first = false
	}
	return found.cut(text, len(text), settings), true
}

// cut sets Target and Settings, given where the rest of the statement ends.
func (i insert) cut(text string, end, settings int) insert {
	i.Target = strings.TrimSpace(text[:end])
	if settings >= 0 {
		i.Target, i.Settings = strings.TrimSpace(text[:settings]), strings.TrimSpace(text[settings:end])
	}
	return i
}

// insertTarget skips INTO, TABLE, FUNCTION and the compound name after INSERT.
func insertTarget(text string, pos int) (int, bool) {
	t, ok := nextToken(text, pos)
	for _, optional := range []string{"INTO", "TABLE", "FUNCTION"} {
		if ok && t.word(text) == optional {
			t, ok = nextToken(text, t.end)
		}
	}
	for ok && (t.kind == tokenWord || t.kind == tokenQuoted) {
		pos = t.end
		dot, more := nextToken(text, pos)
		if !more || text[dot.start:dot.end] != "." {
			return pos, true
		}
		t, ok = nextToken(text, dot.end)
	}
	return 0, false
}

// dataStart is where rows begin after the name of their format: behind blanks
// and one line break, as the engine counts it.
func dataStart(text string, pos int) int {
	for pos < len(text) && strings.IndexByte(" \t\f\v;", text[pos]) >= 0 {
		pos++
	}
	if strings.HasPrefix(text[pos:], "\r\n") {
		return pos + 2
	}
	if strings.HasPrefix(text[pos:], "\n") {
		return pos + 1
	}
	return pos
}

// outputFormat returns the name in a statement's FORMAT clause, else "".
func outputFormat(text string) string {
	_, name := formatClause(text)
	return name
}

// formatClause finds a statement's FORMAT clause: where it begins and the name
// in it. Without one it returns the end of the statement and "".
func formatClause(text string) (start int, name string) {
	depth, end := 0, len(text)
	var last [2]token // the two tokens before t
	take := func() {
		if depth == 0 && last[0].word(text) == "FORMAT" && last[1].kind == tokenWord {
			start, name = last[0].start, text[last[1].start:last[1].end]
		}
	}
	for pos := 0; ; {
		t, ok := nextToken(text, pos)
		if !ok {
			take()
			break
		}
		pos = t.end
		switch mark := text[t.start:t.end]; mark {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
		case ";":
			take()
			if end == len(text) {
				end = t.start
			}
		}
		if t.word(text) == "SETTINGS" {
			take()
		}
		last[0], last[1] = last[1], t
	}
	if name == "" {
		return end, ""
	}
	return start, name
}

// isSelect says whether text is a query that returns rows and is no SHOW,
// DESCRIBE, EXISTS or EXPLAIN.
func isSelect(text string) bool {
	word := firstWord(text)
	return word == "SELECT" || word == "WITH" || word == "FROM"
}

// intoFile returns a query that writes its result to path instead.
func intoFile(text, path, format string) string {
	start, name := formatClause(text)
	rest := text[start:]
	if name == "" {
		rest = "FORMAT " + format
	}
	return text[:start] + "\nINTO OUTFILE " + quote(path) + " " + rest
}

// firstWord returns a statement's first keyword in capitals.
func firstWord(text string) string {
	for pos := 0; ; {
		t, ok := nextToken(text, pos)
		if !ok {
			return ""
		}
		if text[t.start:t.end] != "(" {
			return t.word(text)
		}
		pos = t.end
	}
}

// several says whether more than one statement stands in text.
func several(text string) bool {
	ended := false
	for pos := 0; ; {
		t, ok := nextToken(text, pos)
		if !ok {
			return false
		}
		if ended && text[t.start:t.end] != ";" {
			return true
		}
		ended = ended || text[t.start:t.end] == ";"
		pos = t.end
	}
}

// quote returns s as a ClickHouse string literal.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\x00", `\0`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + "'"
}

// identifier returns name quoted as a ClickHouse identifier.
func identifier(name string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`", "\x00", `\0`).Replace(name) + "`"
}
