package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stofstrom/stofstrom/ops/cli"
)

// smallDisk is a disk of a few megabytes that only one process of the program
// sees: the process mounts it in a namespace of its own, so that no test
// needs a privilege that it does not have, and nothing is left behind.
const smallDiskEnv = "E2E_SMALL_DISK" // <folder>:<bytes>

// onSmallDisk makes a started program see a small disk at the folder.
func onSmallDisk(cmd *exec.Cmd, folder string, bytes int) {
	cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%s:%d", smallDiskEnv, folder, bytes))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
}

// playOnSmallDisk is the part of the small disk that runs in the process of
// the program: mount, then be the program.
func playOnSmallDisk(spec string) int {
	folder, size, ok := strings.Cut(spec, ":")
	bytes, err := strconv.Atoi(size)
	if !ok || err != nil {
		fmt.Fprintln(os.Stderr, "small disk: cannot read", spec)
		return 1
	}
	if err := syscall.Mount("none", folder, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", bytes)); err != nil {
		fmt.Fprintln(os.Stderr, "small disk: mount:", err)
		return 1
	}
	os.Unsetenv(smallDiskEnv)
	return cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// insideDisk is the folder of a process's small disk as seen from outside.
func insideDisk(pid int, folder string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), "root", folder)
}

// fillDisk writes until there is no room but what is spared, and returns how
// to make room again.
func fillDisk(t testing.TB, folder string, spare int64) (makeRoom func()) {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(folder, &fs); err != nil {
		t.Fatal(err)
	}
	free := int64(fs.Bavail) * fs.Bsize
	name := filepath.Join(folder, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	chunk := make([]byte, 256<<10)
	for left := free - spare; left > 0; left -= int64(len(chunk)) {
		if int64(len(chunk)) > left {
			chunk = chunk[:left]
		}
		if _, err := f.Write(chunk); err != nil {
			break // full already: what was written meanwhile took the room
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}
