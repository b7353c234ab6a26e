package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"binkeeper/internal/servers"
	"binkeeper/scripts/internal/localstack"
)

// state is what a stack keeps while it is down: a task's source must be found where it was.
type state struct {
	Source        servers.Kind `json:"source"`
	SourcePort    int          `json:"source_port"`
	ZooKeeperPort int          `json:"zookeeper_port"`
}

func statePath(s *localstack.Stack) string { return filepath.Join(s.Dir, "stack.json") }

// loadState sets what s keeps; exists is false when there is no stack in its folder.
func loadState(s *localstack.Stack) (exists bool, err error) {
	data, err := os.ReadFile(statePath(s))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	var kept state
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", statePath(s), err)
	}
	s.Kind, s.SourcePort, s.ZooKeeperPort = kept.Source, kept.SourcePort, kept.ZooKeeperPort
	return true, nil
}

func saveState(s *localstack.Stack) error {
	data, err := json.MarshalIndent(state{s.Kind, s.SourcePort, s.ZooKeeperPort}, "", "  ")
	if err != nil {
		return err
	}
	partial := statePath(s) + ".partial"
	if err := os.WriteFile(partial, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(partial, statePath(s))
}

// errNoStack says that up has not been called, or down has purged.
var errNoStack = errors.New("there is no stack here: make up starts one")

// lock waits until this process alone changes the stack.
func lock(s *localstack.Stack) (unlock func() error, err error) {
	file, err := os.OpenFile(filepath.Join(s.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), file.Close())
	}
	return file.Close, nil
}
