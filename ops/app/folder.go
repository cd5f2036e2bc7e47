package app

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/stofstrom/stofstrom/ops/config"
)

// folder is the data folder: one process at a time, with the places in it.
//
//	LOCK                 held by the process that uses the folder
//	log/                 embedded event log
//	clickhouse/          embedded ClickHouse
//	index/               identity index, disposable
//	answers/             answers to requests with an Idempotency-Key
//	imports/             spooled files, jobs and their reports
//	answers/             answers kept under Idempotency-Keys
//	running.json         where the running program can be reached
//	control.sock         where other commands of the same user ask it
//	address-*            addresses chosen for auto
//	control.sock         where other commands ask the running program
//	running.json         where the running program can be reached
//	secret-*             passwords made at the first start, readable by the owner
type folder struct {
	path string
	lock *os.File
}

// ErrFolderInUse tells that another process uses the data folder.
var ErrFolderInUse = errors.New("the data folder is in use by another process")

// openFolder makes the folder when it is missing, checks that it can be
// written, and locks it.
func openFolder(path string) (*folder, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", path, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(abs, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder %s cannot be written: %w", abs, err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrFolderInUse, abs)
		}
		return nil, fmt.Errorf("locking the data folder %s: %w", abs, err)
	}
	f := &folder{path: abs, lock: lock}
	if err := f.probe(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// probe writes and removes a small file, so that a folder that is read-only
// or full is found before anything else is started.
func (f *folder) probe() error {
	name := filepath.Join(f.path, ".probe")
	err := os.WriteFile(name, make([]byte, 64<<10), 0o600)
	rmErr := os.Remove(name)
	if err != nil {
		return fmt.Errorf("data folder %s cannot be written: %w", f.path, err)
	}
	if rmErr != nil {
		return fmt.Errorf("data folder %s: %w", f.path, rmErr)
	}
	return nil
}

func (f *folder) close() {
	// Closing releases the lock; the file stays, so that two processes never
	// lock two different files of the same name.
	f.lock.Close()
}

func (f *folder) sub(name string) string { return filepath.Join(f.path, name) }

// address resolves a listening address. For auto it is the one kept in the
// folder, else the usual one if it is free, else one the system gives.
func (f *folder) address(ctx context.Context, name, configured, usual string) (string, error) {
	if configured != config.Auto {
		if _, port, err := net.SplitHostPort(configured); err == nil && port == "0" {
			return freeAddress(ctx, configured)
		}
		return configured, nil
	}
	file := f.sub("address-" + name)
	kept, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the kept address: %w", err)
	}
	candidates := []string{strings.TrimSpace(string(kept)), usual, "127.0.0.1:0"}
	for _, c := range candidates {
		if c == "" {
			continue
		}
		free, err := freeAddress(ctx, c)
		if err != nil {
			continue // taken, or a kept address that is no address
		}
		if free != candidates[0] {
			if err := writeFile(file, []byte(free+"\n")); err != nil {
				return "", fmt.Errorf("keeping the address: %w", err)
			}
		}
		return free, nil
	}
	return "", fmt.Errorf("no free address for %s on 127.0.0.1", name)
}

// freeAddress binds an address and lets it go again.
func freeAddress(ctx context.Context, address string) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	got := l.Addr().String()
	return got, l.Close()
}

// secret returns the password kept under the name, and makes it when there is
// none.
func (f *folder) secret(name string) (string, error) {
	file := f.sub("secret-" + name)
	raw, err := os.ReadFile(file)
	if err == nil && len(strings.TrimSpace(string(raw))) >= 16 {
		return strings.TrimSpace(string(raw)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the secret %s: %w", name, err)
	}
	random := make([]byte, 24)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("making the secret %s: %w", name, err)
	}
	made := base64.RawURLEncoding.EncodeToString(random)
	if err := writeFile(file, []byte(made+"\n")); err != nil {
		return "", fmt.Errorf("keeping the secret %s: %w", name, err)
	}
	return made, nil
}

// writeFile replaces a file whole: never half a file, whenever the power goes.
func writeFile(name string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // is gone already when all went well
	if _, err := tmp.Write(data); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Sync(); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// readSecretFile reads a password from a file that the operator keeps; ""
// when no file is configured.
func readSecretFile(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("reading a password: %w", err)
	}
	secret := strings.TrimRight(string(raw), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("the password file %s is empty", file)
	}
	return secret, nil
}
