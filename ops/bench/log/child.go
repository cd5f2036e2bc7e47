//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// startLimit is how long a child may take until it serves.
const startLimit = 2 * time.Minute

// child is a server in a process of its own. It is asked by lines on its
// standard input and answers by lines on its standard output.
type child struct {
	kind    string
	address string // connection string
	started time.Duration
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
}

// startChild starts this program again as a server and waits until it serves.
func startChild(ctx context.Context, kind, dir string, events int) (*child, error) {
	return startChildWithin(ctx, startLimit, kind, dir, events)
}

func startChildWithin(ctx context.Context, limit time.Duration, kind, dir string, events int) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &child{kind: kind}
	c.cmd = exec.CommandContext(ctx, self, "-serve", kind, "-data", dir, "-events", strconv.Itoa(events)) //nolint:gosec // ourselves
	c.cmd.Stderr = os.Stderr
	c.cmd.WaitDelay = time.Minute
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	began := time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", kind, err)
	}
	timer := time.AfterFunc(limit, func() { _ = c.cmd.Process.Kill() }) // the read below then fails
	defer timer.Stop()
	c.address, err = c.answer("serves")
	if err != nil {
		return nil, errors.Join(err, c.kill())
	}
	c.started = time.Since(began)
	return c, nil
}

// answer reads one line that must begin with the given word.
func (c *child) answer(word string) (string, error) {
	line, err := c.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("%s server: its answer %q: %w", c.kind, word, err)
	}
	first, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if first != word {
		return "", fmt.Errorf("%s server: answered %q, want %q", c.kind, strings.TrimSpace(line), word)
	}
	return rest, nil
}

func (c *child) ask(question, word string) (string, error) {
	if _, err := fmt.Fprintln(c.in, question); err != nil {
		return "", fmt.Errorf("ask the %s server: %w", c.kind, err)
	}
	return c.answer(word)
}

// usage of the process so far.
func (c *child) usage() (usage, error) {
	text, err := c.ask("usage", "usage")
	if err != nil {
		return usage{}, err
	}
	var u usage
	if _, err := fmt.Sscan(text, (*int64)(&u.CPU), &u.RSS, &u.Peak); err != nil {
		return usage{}, fmt.Errorf("%s server: usage %q: %w", c.kind, text, err)
	}
	return u, nil
}

// compact brings the node's files into their smallest form.
func (c *child) compact() error {
	_, err := c.ask("compact", "compacted")
	return err
}

// startProfile and endProfile enclose what a CPU profile shows.
func (c *child) startProfile(path string) error {
	_, err := c.ask("profile "+path, "profiles")
	return err
}

func (c *child) endProfile() error {
	_, err := c.ask("profile-end", "profiled")
	return err
}

// stop ends the server in good order.
func (c *child) stop() error {
	if err := c.in.Close(); err != nil {
		return errors.Join(err, c.kill())
	}
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("stop the %s server: %w", c.kind, err)
	}
	return nil
}

// kill ends it without any order, as a crash would.
func (c *child) kill() error {
	err := c.cmd.Process.Kill()
	var exit *exec.ExitError
	if waited := c.cmd.Wait(); waited != nil && !errors.As(waited, &exit) {
		err = errors.Join(err, waited)
	}
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
