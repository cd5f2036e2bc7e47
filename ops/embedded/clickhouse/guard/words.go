package guard

import (
	"slices"
	"strings"
)

// word is a piece of a rendered statement. The engine's rendering has no
// comments and no heredocs, and quotes with backslashes.
type word struct {
	text string
	kind byte // 'w' bare word, 'q' quoted identifier, 's' string, 'n' number, else the byte itself
}

// split takes a rendered statement apart. Whatever it cannot take apart it
// refuses.
func split(text string) ([]word, error) {
	var words []word
	for i := 0; i < len(text); {
		start := i
		switch c := text[i]; {
		case c == ' ' || c == '\n':
			i++
			continue
		case c == '\'' || c == '`' || c == '"':
			end, ok := quoteEnd(text, i)
			if !ok {
				return nil, &Refusal{"statement", "of this form", "a quote in it does not end"}
			}
			i = end
			kind := byte('q')
			if c == '\'' {
				kind = 's'
			}
			words = append(words, word{text[start:i], kind})
		case letter(c):
			for i < len(text) && (letter(text[i]) || digit(text[i])) {
				i++
			}
			words = append(words, word{text[start:i], 'w'})
		case digit(c):
			for i < len(text) && (letter(text[i]) || digit(text[i]) || text[i] == '.') {
				i++
			}
			words = append(words, word{text[start:i], 'n'})
		case c < ' ' || c > '~', c == '#', c == '$', c == ';', strings.HasPrefix(text[i:], "--"), strings.HasPrefix(text[i:], "/*"):
			return nil, &Refusal{"statement", "of this form", "its rendering has an unexpected " + text[i:min(i+2, len(text))]}
		default:
			i++
			words = append(words, word{text[start:i], c})
		}
	}
	return words, nil
}

func letter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

func quoteEnd(text string, i int) (int, bool) {
	quote := text[i]
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case quote:
			if i+1 < len(text) && text[i+1] == quote {
				i++
				continue
			}
			return i + 1, true
		}
	}
	return 0, false
}

// judgeWords judges what the syntax tree does not show: where a result goes,
// settings, formats, and the calls inside APPLY. Settings are collected.
func (g *Guard) judgeWords(rendered string, settings map[string]string) error {
	words, err := split(rendered)
	if err != nil {
		return err
	}
	for i, w := range words {
		following := func(n int) word {
			if i+n < len(words) {
				return words[i+n]
			}
			return word{}
		}
		switch keyword := strings.ToUpper(w.text); {
		case w.kind == 'q' && following(1).kind == '(' && w.text[0] == '`':
			if err := g.judgeCalled(unquote(w.text)); err != nil {
				return err
			}
		case w.kind != 'w':
			continue
		case keyword == "INTO":
			return &Refusal{"clause", "INTO", "results are returned, not written to files"}
		case keyword == "APPLY":
			if err := g.judgeApply(words); err != nil {
				return err
			}
		case keyword == "SETTINGS" && following(2).kind == '=':
			if err := g.collectSettings(words[i+1:], settings); err != nil {
				return err
			}
		case keyword == "FORMAT" && following(1).kind == 'w' && i+2 >= len(words), keyword == "FORMAT" && following(1).kind == 'w' && following(2).text == "SETTINGS":
			if err := g.Format(following(1).text); err != nil {
				return err
			}
		case following(1).kind == '(' && !slices.Contains(structure, keyword):
			if err := g.judgeCalled(w.text); err != nil {
				return err
			}
		}
	}
	return nil
}

// judgeCalled judges a word before a parenthesis.
func (g *Guard) judgeCalled(name string) error {
	if g.lists.function(name) || slices.Contains(tableFunctions, name) || slices.Contains(types, name) {
		return nil
	}
	return &Refusal{"function", name, "it is not on the list of functions"}
}

// judgeApply judges a statement with APPLY, whose function or lambda the syntax
// tree does not show: no bare word in the statement may be the name of a refused
// function. Calls are judged as everywhere.
func (g *Guard) judgeApply(words []word) error {
	for _, w := range words {
		if w.kind == 'w' && g.lists.refused(w.text) || w.kind == 'q' && g.lists.refused(unquote(w.text)) {
			return &Refusal{"function", w.text, "it is not on the list of functions"}
		}
	}
	return nil
}

// collectSettings reads "name = value, …" after SETTINGS.
func (g *Guard) collectSettings(words []word, settings map[string]string) error {
	for len(words) >= 3 && words[0].kind == 'w' && words[1].kind == '=' {
		name, value := words[0].text, words[2]
		if value.kind == '-' || value.kind == '[' || value.kind == '{' || value.kind == '(' {
			return &Refusal{"setting", name, "its value must be a number, a word or a string"}
		}
		text := value.text
		if value.kind == 's' {
			text = unquote(text)
		}
		if err := g.Setting(name, text); err != nil {
			return err
		}
		if earlier, ok := settings[name]; ok && earlier != text {
			return &Refusal{"setting", name, "it is made twice with different values"}
		}
		settings[name] = text
		if len(words) < 4 || words[3].kind != ',' {
			return nil
		}
		words = words[4:]
	}
	return &Refusal{"setting", "list", "it cannot be read"}
}

// unquote undoes the engine's quoting of a string literal or a name.
func unquote(text string) string {
	text = text[1 : len(text)-1]
	return strings.NewReplacer(`\\`, `\`, `\'`, `'`, `''`, `'`, "\\`", "`", `\n`, "\n", `\t`, "\t").Replace(text)
}
