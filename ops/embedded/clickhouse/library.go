package clickhouse

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// LibraryVersion is the release of the engine package that fetch.sh pins; its
// first two parts are ClickHouse's.
const LibraryVersion = "26.5.3"

// EnvLibPath is the environment variable that names the engine library.
const EnvLibPath = "CHDB_LIB_PATH"

// ErrNoLibrary says that the engine library was found nowhere.
var ErrNoLibrary = errors.New("the ClickHouse engine libchdb.so was not found; `make setup` fetches it, " + EnvLibPath + " names one of your own")

// FindLibrary returns the path of the engine library: explicit when it is not
// empty, else what CHDB_LIB_PATH names, else .cache/chdb/<version>/libchdb.so
// beside the working folder, beside the program, or beside the go.mod above
// either. A path that is named and does not exist is an error, never a reason to
// look elsewhere.
func FindLibrary(explicit string) (string, error) {
	for _, named := range []struct{ by, path string }{{"LibPath", explicit}, {EnvLibPath, os.Getenv(EnvLibPath)}} {
		if named.path == "" {
			continue
		}
		if _, err := os.Stat(named.path); err != nil {
			return "", fmt.Errorf("ClickHouse engine named by %s: %w", named.by, err)
		}
		return filepath.Abs(named.path)
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("%w (no engine is pinned for %s/%s)", ErrNoLibrary, runtime.GOOS, runtime.GOARCH)
	}
	folders, err := startFolders()
	if err != nil {
		return "", err
	}
	for _, folder := range folders {
		path := filepath.Join(folder, ".cache", "chdb", LibraryVersion, "libchdb.so")
		switch _, err := os.Stat(path); {
		case err == nil:
			return path, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("look for the ClickHouse engine: %w", err)
		}
	}
	return "", ErrNoLibrary
}

// startFolders lists the folders whose .cache may hold the library: the working
// folder and the program's, and the folder of the go.mod above each.
func startFolders() ([]string, error) {
	working, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("look for the ClickHouse engine: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("look for the ClickHouse engine: %w", err)
	}
	var folders []string
	for _, start := range []string{working, filepath.Dir(program)} {
		folders = append(folders, start)
		for folder := start; ; folder = filepath.Dir(folder) {
			if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
				folders = append(folders, folder)
				break
			}
			if folder == filepath.Dir(folder) {
				break
			}
		}
	}
	return folders, nil
}
