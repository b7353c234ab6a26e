package worker

import (
	"context"
	"io"
	"iter"
	"time"

	"binkeeper/archive"
)

// A meteredStore measures what is done with a store.
type meteredStore struct {
	archive.Store
	scheme string
	meters *meters
	tally  *tally
}

// openStore opens the store that a URL names, with the meters on.
func (m *member) openStore(url string) (archive.Store, error) {
	scheme := storeScheme(url)
	m.w.meters.knowStore(scheme)
	began := time.Now()
	store, err := m.w.cfg.OpenStore(url)
	m.w.meters.storeDid(scheme, "connect", time.Since(began), err)
	if err != nil {
		return nil, err
	}
	return meteredStore{store, scheme, m.w.meters, m.tally}, nil
}

func (s meteredStore) Create(ctx context.Context, name string, parts ...[]byte) error {
	began := time.Now()
	err := s.Store.Create(ctx, name, parts...)
	s.meters.storeDid(s.scheme, "create", time.Since(began), err)
	if err == nil {
		for _, part := range parts {
			s.tally.storedBytes.Add(int64(len(part)))
		}
	}
	return err
}

// Open is measured until the first byte can be read.
func (s meteredStore) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	began := time.Now()
	r, err := s.Store.Open(ctx, name, offset, length)
	s.meters.storeDid(s.scheme, "open", time.Since(began), err)
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
			if !yield(e, err) {
				began = time.Now()
				break
			}
			began = time.Now()
		}
		s.meters.storeDid(s.scheme, "list", took+time.Since(began), last)
	}
}

func (s meteredStore) Sync(ctx context.Context, names ...string) error {
	began := time.Now()
	err := s.Store.Sync(ctx, names...)
	s.meters.storeDid(s.scheme, "sync", time.Since(began), err)
	return err
}

func (s meteredStore) Delete(ctx context.Context, name string) error {
	began := time.Now()
	err := s.Store.Delete(ctx, name)
	s.meters.storeDid(s.scheme, "delete", time.Since(began), err)
	return err
}

func (s meteredStore) Sweep(ctx context.Context, dir string) (int, error) {
	began := time.Now()
	removed, err := s.Store.Sweep(ctx, dir)
	s.meters.storeDid(s.scheme, "sweep", time.Since(began), err)
	return removed, err
}
