//go:build linux

package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsyscall "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Sandbox says which files the child may use. Everything else it may not touch,
// whatever a statement asks for: no other file, no socket, no other program.
type Sandbox struct {
	Off       bool     `json:"off"`
	ReadOnly  []string `json:"read_only"`
	ReadWrite []string `json:"read_write"`
}

// envConfined marks the second life of the child, after Landlock.
const envConfined = "STOFSTROM_CLICKHOUSE_ENGINE_CONFINED"

// systemReadOnly is what the dynamic loader, the C library and the engine's own
// look at the machine need. /proc is its own process only: nothing of others.
var systemReadOnly = []string{
	"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo",
	"/proc/self", "/proc/meminfo", "/proc/stat", "/proc/cpuinfo", "/proc/loadavg", "/proc/uptime", "/proc/version", "/proc/sys/vm", "/proc/sys/kernel",
	"/sys/devices/system", "/sys/fs/cgroup", "/sys/kernel/mm", "/dev/urandom", "/dev/random",
}

// Confine takes from this process what it does not need. Landlock can only be
// put on a thread and what that thread starts, and the Go runtime already has
// several; so the calling thread confines itself and starts the program anew in
// its place. That second life then installs the system-call filter, which the
// kernel puts on all threads at once.
//
// A kernel without Landlock is not an error: the log says in a sentence which
// wall is missing.
func Confine(s Sandbox, log *slog.Logger) error {
	if s.Off {
		log.Warn("the sandbox of the ClickHouse engine is switched off")
		return nil
	}
	if os.Getenv(envConfined) == "" {
		return confineFiles(s, log)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("sandbox: no new privileges: %w", err)
	}
	return filterCalls(log)
}

// confineFiles puts Landlock on the calling thread and starts the program anew.
// It returns only when it fails.
func confineFiles(s Sandbox, log *slog.Logger) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	fd, flags, err := landlock.V11.BestEffort().NewRulesetFD(rules(s, program)...)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	runtime.LockOSThread() // never unlocked: this thread becomes the new program
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("sandbox: no new privileges: %w", err)
	}
	if fd < 0 {
		log.Warn("this kernel has no Landlock: the ClickHouse engine is not kept from files by the operating system, only by the guard and by its own access rights")
	} else if err := llsyscall.LandlockRestrictSelf(fd, flags); err != nil {
		return errors.Join(fmt.Errorf("sandbox: landlock: %w", err), unix.Close(fd))
	}
	// #nosec G204 -- the program is this one, with its own arguments
	err = syscall.Exec(program, os.Args, append(os.Environ(), envConfined+"=1"))
	return fmt.Errorf("sandbox: start %s anew: %w", program, err)
}

// rules lists what stays allowed. Paths that do not exist are left out, since
// distributions differ.
func rules(s Sandbox, program string) []landlock.Rule {
	var list []landlock.Rule
	for _, path := range slices.Concat(systemReadOnly, s.ReadOnly, []string{program}, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))) {
		switch dir, ok := isDir(path); {
		case ok && dir:
			list = append(list, landlock.RODirs(path))
		case ok:
			list = append(list, landlock.ROFiles(path))
		}
	}
	for _, path := range append([]string{"/dev/null"}, s.ReadWrite...) {
		switch dir, ok := isDir(path); {
		case ok && dir:
			list = append(list, landlock.RWDirs(path).WithRefer()) // parts are moved between folders
		case ok:
			list = append(list, landlock.RWFiles(path))
		}
	}
	return list
}

func isDir(path string) (dir, ok bool) {
	info, err := os.Stat(path)
	return err == nil && info.IsDir(), err == nil
}
