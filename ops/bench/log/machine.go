//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// choose parses the list of parts.
func choose(list string) (map[string]bool, error) {
	known := []string{"append", "read", "watermill", "space"}
	chosen := make(map[string]bool)
	for _, name := range strings.Split(list, ",") {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("-only names %q, want some of %s", name, strings.Join(known, ", "))
		}
		chosen[name] = true
	}
	return chosen, nil
}

// refuseMemory refuses a file system on which fsync costs nothing.
func refuseMemory(dir string) error {
	var at unix.Statfs_t
	if err := unix.Statfs(dir, &at); err != nil {
		return fmt.Errorf("file system of %s: %w", dir, err)
	}
	if at.Type == unix.TMPFS_MAGIC || at.Type == unix.RAMFS_MAGIC {
		return fmt.Errorf("%s is in memory, where fsync does nothing; give a folder on a disk by -dir", dir)
	}
	return nil
}

func printMachine(r *report, dir string) error {
	sync, err := syncTime(dir)
	if err != nil {
		return err
	}
	load, err := loadAverage()
	if err != nil {
		return err
	}
	model, err := processor()
	if err != nil {
		return err
	}
	r.printf("%s, %d CPUs (%s), %s/%s, load %s at the start, write of 4 KiB with fdatasync %s (median of 200)\n",
		runtime.Version(), runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, load, sync.Round(time.Microsecond))
	return nil
}

// syncTime is the median time of making 4 KiB at the end of a file durable.
func syncTime(dir string) (median time.Duration, err error) {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, 4096)
	times := make([]time.Duration, 200)
	for i := range times {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, fmt.Errorf("fdatasync: %w", err)
		}
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

func loadAverage() (string, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first, nil
}

func processor() (model string, err error) {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value), nil
		}
	}
	return "unnamed processor", lines.Err()
}

// usage of a process so far.
type usage struct {
	CPU       time.Duration // user and system
	RSS, Peak int64         // bytes
}

// ownUsage is this process's.
func ownUsage() (usage, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return usage{}, fmt.Errorf("getrusage: %w", err)
	}
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return usage{}, err
	}
	var total, resident int64
	if _, err := fmt.Sscan(string(text), &total, &resident); err != nil {
		return usage{}, fmt.Errorf("/proc/self/statm %q: %w", text, err)
	}
	return usage{
		CPU:  time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		RSS:  resident * int64(os.Getpagesize()),
		Peak: r.Maxrss << 10,
	}, nil
}

// sizeOf is the room that the files of a folder take on the disk, in blocks
// and not in lengths, the ballast file left out: it is the same for every log.
func sizeOf(dir string, counts func(name string) bool) (int64, error) {
	size := int64(0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // compacted away meanwhile
		}
		if err != nil || d.IsDir() || !counts(d.Name()) {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("%s: no blocks are told", path)
		}
		size += stat.Blocks * 512
		return nil
	})
	return size, err
}

// forget drops a file's pages from the kernel's memory.
func forget(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}
