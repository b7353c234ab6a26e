package dirstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"binkeeper/archive"
)

// Sync implements archive.Store. A name that can be read may be lost in a crash: its
// writer may have been killed between the link and the sync of the folder, or that
// sync has failed; and what an operator has put back was never synced at all.
func (s *Store) Sync(ctx context.Context, names ...string) error {
	var dirs []string
	for _, name := range names {
		if err := s.begin(ctx, "sync", name); err != nil {
			return err
		}
		if err := s.syncObject(name); isNotExist(err) {
			return fmt.Errorf("sync %s: %w", name, archive.ErrNotExist)
		} else if err != nil {
			return s.fail("sync", name, err)
		}
		for dir := path.Dir(name); !slices.Contains(dirs, dir); dir = path.Dir(dir) {
			dirs = append(dirs, dir)
		}
	}
	for _, dir := range dirs {
		if err := s.syncDir(dir); err != nil {
			return s.fail("sync", dir, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, dir := range dirs {
		s.durable[dir] = true // what is above it has been synced as well
	}
	return nil
}

func (s *Store) syncObject(name string) error {
	f, err := s.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return fs.ErrNotExist // a folder is no object
	}
	return s.calls.sync(f)
}

// makeDir makes dir and what is above it, durably. A folder that another process
// has made is synced, too: that process may not have come to it.
func (s *Store) makeDir(dir string) error {
	s.mu.Lock()
	known := s.durable[dir]
	s.mu.Unlock()
	if known {
		return nil
	}
	if err := s.makeDir(path.Dir(dir)); err != nil {
		return err
	}
	made := s.root.Mkdir(dir, dirMode)
	if made == nil {
		made = s.giveDir(dir)
	}
	if made != nil && !errors.Is(made, fs.ErrExist) {
		return made
	}
	if err := s.syncDir(path.Dir(dir)); err != nil {
		return err
	}
	s.mu.Lock()
	s.durable[dir] = true
	s.mu.Unlock()
	return nil
}

func (s *Store) forget() {
	s.mu.Lock()
	s.durable = map[string]bool{".": true}
	s.mu.Unlock()
}

func (s *Store) syncDir(dir string) error {
	d, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return s.calls.sync(d)
}
