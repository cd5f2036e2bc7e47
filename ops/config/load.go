// Package config reads the configuration of a command: every option is a
// flag, an environment variable STOFSTROM_… (the flag's name in capitals) and
// a key of an optional YAML file. A flag wins over the environment, the
// environment over the file, the file over the default.
//
// It promises that all errors come at once, each naming its key and where the
// value came from. It leaves out what only a running store can tell: whether
// an address is free or a password right.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"
)

// EnvPrefix begins the environment variables of all options.
const EnvPrefix = "STOFSTROM_"

// internalEnv are variables with the prefix that are not options.
var internalEnv = []string{"STOFSTROM_LONG", "STOFSTROM_CONFIG"}

// Source tells where the value of an option came from.
type Source string

// The sources, strongest first.
const (
	FromFlag    Source = "flag"
	FromEnv     Source = "environment"
	FromFile    Source = "file"
	FromDefault Source = "default"
)

// Problem is one thing wrong with the configuration.
type Problem struct {
	Key    string // the option's name, without dashes in front
	Source Source
	Value  string
	Detail string
}

// Error names key, source, value and what is wrong.
func (p Problem) Error() string {
	if p.Source == "" {
		return p.Key + ": " + p.Detail
	}
	return fmt.Sprintf("%s: %s (%s, %q)", p.Key, p.Detail, p.Source, p.Value)
}

// Problems are all things wrong, in the order of their keys.
type Problems []Problem

// Error gives one line per problem.
func (ps Problems) Error() string {
	lines := make([]string, 0, len(ps)+1)
	lines = append(lines, fmt.Sprintf("%d errors in the configuration:", len(ps)))
	if len(ps) == 1 {
		lines[0] = "1 error in the configuration:"
	}
	for _, p := range ps {
		lines = append(lines, "  "+p.Error())
	}
	return strings.Join(lines, "\n")
}

// Loaded is a configuration that was read, with where each value came from.
type Loaded struct {
	flags   *pflag.FlagSet
	sources map[string]Source
}

// Load fills the flag set, whose command line is parsed already, from the
// environment and the file, and checks the result. The error is of type
// Problems, or tells that the file cannot be read.
func Load(fs *pflag.FlagSet, c *Config, groups Group, environ []string, file string) (*Loaded, error) {
	l := &Loaded{flags: fs, sources: map[string]Source{}}
	var problems Problems
	env, fromEnv := envValues(fs, environ)
	problems = append(problems, fromEnv...)
	fromFile, err := fileValues(file)
	if err != nil {
		return nil, err
	}
	for key := range fromFile {
		if fs.Lookup(key) == nil {
			problems = append(problems, Problem{Key: key, Source: FromFile, Value: fromFile[key], Detail: "no such option" + didYouMean(fs, key)})
		}
	}
	fs.VisitAll(func(f *pflag.Flag) {
		set := func(source Source, value string) {
			l.sources[f.Name] = source
			if err := f.Value.Set(value); err != nil {
				problems = append(problems, Problem{Key: f.Name, Source: source, Value: value, Detail: wantedType(f)})
			}
		}
		envValue, inEnv := env[f.Name]
		fileValue, inFile := fromFile[f.Name]
		switch {
		case f.Changed:
			l.sources[f.Name] = FromFlag
		case inEnv:
			set(FromEnv, envValue)
		case inFile:
			set(FromFile, fileValue)
		default:
			l.sources[f.Name] = FromDefault
		}
	})
	problems = append(problems, l.check(c, groups)...)
	if len(problems) > 0 {
		slices.SortStableFunc(problems, func(a, b Problem) int { return strings.Compare(a.Key, b.Key) })
		return nil, problems
	}
	return l, nil
}

func envName(flag string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func envValues(fs *pflag.FlagSet, environ []string) (map[string]string, Problems) {
	known := map[string]string{}
	fs.VisitAll(func(f *pflag.Flag) { known[envName(f.Name)] = f.Name })
	all := pflag.NewFlagSet("all", pflag.ContinueOnError)
	Flags(all, ^Group(0))
	values := map[string]string{}
	var problems Problems
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, EnvPrefix) || slices.Contains(internalEnv, name) {
			continue
		}
		if flag, ok := known[name]; ok {
			values[flag] = value
			continue
		}
		// An option of another command may stand in a shared environment.
		if all.Lookup(strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, EnvPrefix), "_", "-"))) == nil {
			problems = append(problems, Problem{Key: name, Source: FromEnv, Value: value, Detail: "no such option"})
		}
	}
	return values, problems
}

func fileValues(file string) (map[string]string, error) {
	if file == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration file: %w", err)
	}
	var nodes map[string]yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(raw)).Decode(&nodes); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the configuration file %s: %w", file, err)
	}
	values := make(map[string]string, len(nodes))
	for key, node := range nodes {
		if node.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("reading the configuration file %s: line %d: %s: a single value is wanted", file, node.Line, key)
		}
		values[key] = node.Value
	}
	return values, nil
}

func wantedType(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "int":
		return "a whole number is wanted"
	case "duration":
		return "a duration is wanted, for example 500ms, 20s or 2m"
	case "bool":
		return "true or false is wanted"
	}
	return "a " + f.Value.Type() + " is wanted"
}

// didYouMean names an option that differs from the key only in separators
// and case, or begins with it.
func didYouMean(fs *pflag.FlagSet, key string) string {
	plain := func(s string) string {
		return strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "").Replace(s))
	}
	hint := ""
	fs.VisitAll(func(f *pflag.Flag) {
		if hint == "" && (plain(f.Name) == plain(key) || strings.HasPrefix(plain(f.Name), plain(key))) {
			hint = "; did you mean " + f.Name + "?"
		}
	})
	return hint
}

// Print writes the effective configuration as a YAML file that would give the
// same, with the source of each value. Secrets in connection strings are
// replaced by ***.
func (l *Loaded) Print(w io.Writer) error {
	var names []string
	l.flags.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	sort.Strings(names)
	for _, name := range names {
		value := Redact(l.flags.Lookup(name).Value.String())
		if _, err := fmt.Fprintf(w, "%-28s %-40s # %s\n", name+":", quoteYAML(value), l.sources[name]); err != nil {
			return err
		}
	}
	return nil
}

func quoteYAML(v string) string {
	if v == "" || strings.ContainsAny(v, ":#{}[]&*!|>'\"%@` ") {
		return fmt.Sprintf("%q", v)
	}
	return v
}
