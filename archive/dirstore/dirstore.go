// Package dirstore keeps archives in a folder, local or shared between hosts.
//
// It promises what archive.Store asks for on any file system that has hard links
// and an honest fsync: ext4, xfs, btrfs, zfs, NFS. An object is written to a
// temporary file, synced, and linked to its name, so it exists whole or not at
// all, and link(2) lets one writer of several win. Files have mode 0640, folders
// 0750, less the process's umask.
//
// A writer that dies leaves its temporary file, a probe that is killed its object.
// Sweep removes those older than a day.
//
// What root makes belongs to the owner of the folder that it is made in, so that a
// service can go on where its operator began.
//
// The root folder is opened once and all work is done below it: the objects of a
// share that is unmounted meanwhile cannot land in the folder under it, and no
// symbolic link leads out of it. Free space is left to others.
package dirstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"binkeeper/archive"
)

const (
	fileMode = 0o640
	dirMode  = 0o750
)

// Store is a folder. It is safe for concurrent use.
type Store struct {
	root  *os.Root
	path  string
	calls calls

	mu      sync.Mutex
	durable map[string]bool // folders whose own entry is known to be durable
}

// calls are the system calls that a test makes fail.
type calls struct {
	write func(f *os.File, b []byte) (int, error)
	sync  func(f *os.File) error
	link  func(root *os.Root, old, new string) error
}

// Open opens the store in dir, which must exist: a missing folder may be a share
// that is not mounted. Its errors are *archive.StoreError, with a hint.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, err)
	}
	s := &Store{path: dir, durable: map[string]bool{".": true}, calls: calls{
		write: (*os.File).Write,
		sync:  (*os.File).Sync,
		link:  (*os.Root).Link,
	}}
	if s.root, err = openRoot(dir); err != nil {
		return nil, s.fail("open", "", err)
	}
	return s, nil
}

// openRoot names the cause when dir is no folder, which os.OpenRoot does not.
func openRoot(dir string) (*os.Root, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, syscall.ENOTDIR
	}
	return os.OpenRoot(dir)
}

// String returns the store's URL.
func (s *Store) String() string { return (&url.URL{Scheme: "file", Path: s.path}).String() }

// Create implements archive.Store.
func (s *Store) Create(ctx context.Context, name string, parts ...[]byte) error {
	if err := s.begin(ctx, "create", name); err != nil {
		return err
	}
	dir := path.Dir(name)
	err := s.makeDir(dir)
	if err == nil {
		err = s.create(dir, name, parts)
	}
	if errors.Is(err, fs.ErrNotExist) {
		s.forget() // a folder that was known is gone: the next try makes it anew
	}
	if errors.Is(err, archive.ErrExist) {
		return fmt.Errorf("create %s: %w", name, err)
	}
	return s.fail("create", name, err)
}

// create makes the object in a folder that exists, in the one order that is safe.
func (s *Store) create(dir, name string, parts [][]byte) error {
	temp := path.Join(dir, archive.TempPrefix+rand.Text())
	if err := s.writeTemp(temp, parts); err != nil {
		return errors.Join(err, s.removeTemp(temp))
	}
	linked := s.calls.link(s.root, temp, name)
	if errors.Is(linked, fs.ErrExist) && s.sameFile(temp, name) {
		linked = nil // a lost reply: the link of a network file system was tried twice
	}
	removed := s.removeTemp(temp)
	if linked != nil && !errors.Is(linked, fs.ErrExist) {
		return errors.Join(linked, removed)
	}
	// Another writer's object, too, is said to exist only when it is durable.
	if err := s.syncDir(dir); err != nil {
		return err
	}
	if linked != nil {
		return archive.ErrExist
	}
	return removed
}

// writeTemp makes a durable file that has no name to count on yet.
func (s *Store) writeTemp(temp string, parts [][]byte) (err error) {
	f, err := s.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := s.give(f, path.Dir(temp)); err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := s.calls.write(f, part); err != nil {
			return err
		}
	}
	return s.calls.sync(f)
}

// removeTemp removes a temporary file that may not have been made.
func (s *Store) removeTemp(temp string) error {
	if err := s.root.Remove(temp); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (s *Store) sameFile(a, b string) bool {
	aInfo, aErr := s.root.Lstat(a)
	bInfo, bErr := s.root.Lstat(b)
	return aErr == nil && bErr == nil && os.SameFile(aInfo, bInfo)
}

// Open implements archive.Store.
func (s *Store) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err := s.begin(ctx, "open", name); err != nil {
		return nil, err
	}
	f, err := s.root.Open(name)
	if isNotExist(err) {
		return nil, fmt.Errorf("open %s: %w", name, archive.ErrNotExist)
	}
	if err != nil {
		return nil, s.fail("open", name, err)
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", name, archive.ErrNotExist)
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		f.Close()
		return nil, s.fail("open", name, err)
	}
	r := &reader{store: s, name: name, file: f, from: f}
	if length >= 0 {
		r.from = io.LimitReader(f, length)
	}
	return r, nil
}

// A reader reads a file, and tells a read error from a damaged object.
type reader struct {
	store *Store
	name  string
	file  *os.File
	from  io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err == io.EOF {
		return n, err
	}
	return n, r.store.fail("read", r.name, err)
}

func (r *reader) Close() error { return r.file.Close() }

// List implements archive.Store.
func (s *Store) List(ctx context.Context, dir, after string) iter.Seq2[archive.Entry, error] {
	return func(yield func(archive.Entry, error) bool) {
		if err := s.list(ctx, dir, after, yield); err != nil {
			yield(archive.Entry{}, err)
		}
	}
}

// list returns an error that yield has not been told of.
func (s *Store) list(ctx context.Context, dir, after string, yield func(archive.Entry, error) bool) error {
	if dir == "" {
		dir = "."
	} else if err := s.begin(ctx, "list", dir); err != nil {
		return err
	}
	names, err := s.names(dir)
	if isNotExist(err) {
		return nil
	}
	if err != nil {
		return s.fail("list", dir, err)
	}
	slices.Sort(names)
	for _, name := range names {
		if name <= after || strings.HasPrefix(name, archive.TempPrefix) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		info, err := s.root.Stat(path.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			return s.fail("list", path.Join(dir, name), err)
		}
		entry := archive.Entry{Name: name, Dir: info.IsDir()}
		if !entry.Dir {
			entry.Size = info.Size()
		}
		if !yield(entry, nil) {
			return nil
		}
	}
	return nil
}

// names returns what is in dir, in no order.
func (s *Store) names(dir string) ([]string, error) {
	d, err := s.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// Delete implements archive.Store.
func (s *Store) Delete(ctx context.Context, name string) error {
	if err := s.begin(ctx, "delete", name); err != nil {
		return err
	}
	info, err := s.root.Lstat(name)
	if isNotExist(err) || err == nil && info.IsDir() {
		return nil // a folder is no object
	}
	if err == nil {
		err = s.root.Remove(name)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = s.syncDir(path.Dir(name))
	}
	return s.fail("delete", name, err)
}
