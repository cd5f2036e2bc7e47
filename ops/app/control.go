package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	controlSocket = "control.sock"
	// mostSocketPath is how long the path of a socket may be on every system
	// we know.
	mostSocketPath = 100
	// mostControlBytes bounds requests and answers.
	mostControlBytes = 64 << 10

	pathBackup = "/backup"
)

// backupRequest asks the program that uses a data folder for a copy of its
// log.
type backupRequest struct {
	Dir string `json:"dir"` // absolute, must not exist
}

// control is the stage at which other commands of the same user can ask the
// running program for things that only it can do. It listens on a socket of
// the file system that its owner alone can reach.
func (f *foundation) control(s *stores) stage {
	return stage{name: "control", start: func(ctx context.Context) (running, error) {
		listener, remove, err := f.listenControl(ctx)
		if err != nil {
			return running{}, surroundings{fmt.Errorf("listening for commands: %w", err)}
		}
		s.control = listener.Addr().String()
		mux := http.NewServeMux()
		mux.HandleFunc("POST "+pathBackup, func(w http.ResponseWriter, r *http.Request) { f.serveBackup(w, r, s) })
		server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
		return running{run: func(ctx context.Context) error {
			ended := make(chan error, 1)
			go func() { ended <- server.Serve(listener) }()
			var err error
			select {
			case err = <-ended:
			case <-ctx.Done():
				err = errors.Join(server.Close(), <-ended)
			}
			if errors.Is(err, http.ErrServerClosed) {
				err = nil
			}
			return err
		}, close: remove}, nil
	}}
}

// listenControl binds the socket, in the data folder unless its path is too
// long for one. The lock of the folder is held: a socket that is there already
// was left behind by a kill.
func (f *foundation) listenControl(ctx context.Context) (net.Listener, func(), error) {
	path, remove := f.folder.sub(controlSocket), func() {}
	if len(path) > mostSocketPath {
		dir, err := os.MkdirTemp("", "stofstrom-")
		if err != nil {
			return nil, nil, err
		}
		path, remove = filepath.Join(dir, controlSocket), func() { _ = os.RemoveAll(dir) }
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		remove()
		return nil, nil, err
	}
	// The folder is its owner's alone; so is the socket, should somebody open
	// the folder to others.
	if err := os.Chmod(path, 0o600); err != nil {
		remove()
		return nil, nil, errors.Join(err, listener.Close())
	}
	return listener, remove, nil
}

func (f *foundation) serveBackup(w http.ResponseWriter, r *http.Request, s *stores) {
	var req backupRequest
	err := json.UnmarshalRead(io.LimitReader(r.Body, mostControlBytes), &req, json.RejectUnknownMembers(true))
	if err == nil && !filepath.IsAbs(req.Dir) {
		err = fmt.Errorf("dir %q: an absolute path is wanted", req.Dir)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.node.Backup(r.Context(), req.Dir); err != nil {
		f.deps.Logger.Error("backup of the event log failed", "dir", req.Dir, "error", err)
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	f.deps.Logger.Info("event log backed up", "dir", req.Dir)
	w.WriteHeader(http.StatusNoContent)
}

// askControl sends a request to the running program and waits for its answer.
func askControl(ctx context.Context, socket, path string, request any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("asking the running program: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://control"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking the running program: %w", err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return fmt.Errorf("asking the running program: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNoContent {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, mostControlBytes))
	if err != nil {
		return fmt.Errorf("asking the running program: %w", err)
	}
	return fmt.Errorf("the running program answers: %s", bytes.TrimSpace(text))
}
