package monitor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// stateFormat is the format of the state file.
const stateFormat = 1

// A savedState is what a monitor leaves for the next one: the state file, JSON.
type savedState struct {
	Format  int                 `json:"format"`
	SavedAt time.Time           `json:"saved_at"`
	Firing  []entry             `json:"firing"`
	Tasks   []string            `json:"tasks"`   // the ids that are known: one that is gone without a removal has vanished
	Pending map[string][]*Alert `json:"pending"` // by channel, oldest first
}

// A StateError says why a state file is not taken over.
type StateError struct {
	Path string
	Err  error
	// Newer reports that a newer version wrote it: it must not be overwritten.
	Newer bool
}

// Error is the message, on one line.
func (e *StateError) Error() string { return fmt.Sprintf("state file %s: %v", e.Path, e.Err) }

// Unwrap is the cause.
func (e *StateError) Unwrap() error { return e.Err }

// Hint names the operator's next step.
func (e *StateError) Hint() string {
	if e.Newer {
		return "upgrade this monitor, or name another --state-file: then what fires is said again"
	}
	return "name a file that this user can write, in a folder that exists, with --state-file"
}

// readState reads a state file; none is the empty state. Its error is a *StateError.
func readState(path string) (savedState, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return savedState{}, nil
	}
	if err != nil {
		return savedState{}, &StateError{Path: path, Err: err}
	}
	s, err := decodeState(data)
	if err != nil {
		return savedState{}, &StateError{Path: path, Err: err, Newer: s.Format > stateFormat}
	}
	return s, nil
}

// decodeState reads the JSON of a state file. An error comes with the format at
// most.
func decodeState(data []byte) (savedState, error) {
	var head struct{ Format int }
	if err := json.Unmarshal(data, &head); err != nil {
		return savedState{}, fmt.Errorf("not a JSON object: %w", err)
	}
	if head.Format != stateFormat {
		return savedState{Format: head.Format}, fmt.Errorf("it has format %d, this version reads %d", head.Format, stateFormat)
	}
	var s savedState
	if err := json.Unmarshal(data, &s); err != nil {
		return savedState{}, err
	}
	for _, e := range s.Firing {
		if err := checkAlert(e.Alert); err != nil {
			return savedState{}, err
		}
	}
	for _, alerts := range s.Pending {
		for _, a := range alerts {
			if err := checkAlert(a); err != nil {
				return savedState{}, err
			}
		}
	}
	return s, nil
}

func checkAlert(a *Alert) error {
	if a == nil || a.Name() == "" || a.Status != statusFiring && a.Status != statusResolved {
		return errors.New("an alert lacks its name or status")
	}
	return nil
}

// write replaces the state file: a reader finds the old one or the new one.
// Its error is a *StateError.
func (s savedState) write(path string) (err error) {
	defer func() {
		if err != nil {
			err = &StateError{Path: path, Err: err}
		}
	}()
	s.Format = stateFormat
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-"+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // once renamed, it is there no more
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
