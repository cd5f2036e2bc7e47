package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	runningFile         = "running.json"
	defaultStartTimeout = 2 * time.Minute
)

// Running is where a program that uses a data folder can be reached. It is
// kept in the folder while the program runs, readable by its owner only,
// because connection strings hold passwords.
type Running struct {
	API     string `json:"api,omitempty"`
	Log     string `json:"log"`
	Tables  string `json:"tables"`
	Control string `json:"control,omitempty"` // socket; none when the log is not embedded
}

func (f *folder) note(p *program) error {
	raw, err := json.Marshal(Running{API: p.api, Log: p.stores.log, Tables: p.stores.tables, Control: p.stores.control})
	if err != nil {
		return fmt.Errorf("noting the addresses: %w", err)
	}
	if err := writeFile(f.sub(runningFile), raw); err != nil {
		return fmt.Errorf("noting the addresses: %w", err)
	}
	return nil
}

// forget removes the note. A note that stays behind after a kill is replaced
// at the next start, and the lock says that nobody runs.
func (f *folder) forget() { _ = os.Remove(f.sub(runningFile)) }

// FindRunning tells where the program that uses the data folder can be
// reached; ok is false when none runs.
func FindRunning(data string) (r Running, ok bool, err error) {
	f, err := openFolder(data)
	if err == nil {
		f.close()
		return Running{}, false, nil
	}
	if !errors.Is(err, ErrFolderInUse) {
		return Running{}, false, err
	}
	raw, err := os.ReadFile((&folder{path: data}).sub(runningFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Running{}, false, fmt.Errorf("the program that uses %s is still starting", data)
	}
	if err != nil {
		return Running{}, false, fmt.Errorf("reading the addresses of the running program: %w", err)
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return Running{}, false, fmt.Errorf("reading the addresses of the running program: %w", err)
	}
	return r, true, nil
}

// database is the name of the ClickHouse database.
func (f *foundation) database() string {
	if f.cfg.Database == "" {
		return "stofstrom"
	}
	return f.cfg.Database
}
