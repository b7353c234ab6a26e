package worker

import (
	"context"
	"io"
	"iter"
	"time"

	"binkeeper/archive"
)

// A meteredStore measures what is done with a store, and records each step that
// comes to something, so that the watchdog can tell a long walk from one that hangs.
type meteredStore struct {
	archive.Store
	scheme string
	meters *meters
	meter  *taskMeter
	step   func()
}

// openStore opens the store that a URL names, with the meters on.
func (m *member) openStore(url string, step func()) (archive.Store, error) {
	scheme := storeScheme(url)
	m.w.meters.knowStore(scheme)
	began := time.Now()
	store, err := m.w.cfg.OpenStore(url)
	m.w.meters.storeDid(scheme, "connect", time.Since(began), err)
	if err != nil {
		return nil, err
	}
	return meteredStore{store, scheme, m.w.meters, m.meter, step}, nil
}

func (s meteredStore) Create(ctx context.Context, name string, parts ...[]byte) error {
	began := time.Now()
	err := s.Store.Create(ctx, name, parts...)
	s.did("create", time.Since(began), err)
	if err == nil {
		for _, part := range parts {
			s.meter.storedBytes.Add(int64(len(part)))
		}
	}
	return err
}

// Open is measured until the first byte can be read.
func (s meteredStore) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	began := time.Now()
	r, err := s.Store.Open(ctx, name, offset, length)
	s.did("open", time.Since(began), err)
	s.stepped(err)
	return r, err
}

// List is measured without the time that its reader takes.
func (s meteredStore) List(ctx context.Context, dir, after string) iter.Seq2[archive.Entry, error] {
	return func(yield func(archive.Entry, error) bool) {
		var took time.Duration
		var last error
		began := time.Now()
		for e, err := range s.Store.List(ctx, dir, after) {
			took, last = took+time.Since(began), err
			s.stepped(err)
			if !yield(e, err) {
				began = time.Now()
				break
			}
			began = time.Now()
		}
		s.did("list", took+time.Since(began), last)
	}
}

func (s meteredStore) Sync(ctx context.Context, names ...string) error {
	began := time.Now()
	err := s.Store.Sync(ctx, names...)
	s.did("sync", time.Since(began), err)
	s.stepped(err)
	return err
}

func (s meteredStore) Delete(ctx context.Context, name string) error {
	began := time.Now()
	err := s.Store.Delete(ctx, name)
	s.did("delete", time.Since(began), err)
	return err
}

func (s meteredStore) Sweep(ctx context.Context, dir string) (int, error) {
	began := time.Now()
	removed, err := s.Store.Sweep(ctx, dir)
	s.did("sweep", time.Since(began), err)
	return removed, err
}

func (s meteredStore) did(operation string, took time.Duration, err error) {
	s.meters.storeDid(s.scheme, operation, took, err)
}

func (s meteredStore) stepped(err error) {
	if err == nil {
		s.step()
	}
}
