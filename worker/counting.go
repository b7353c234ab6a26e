package worker

import (
	"context"
	"io"
	"iter"
	"sync/atomic"

	"binkeeper/archive"
)

// A countingStore counts what a store has done, so that the watchdog can tell a
// long walk from one that hangs.
type countingStore struct {
	archive.Store
	calls *atomic.Int64
}

func (s countingStore) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	r, err := s.Store.Open(ctx, name, offset, length)
	s.count(err)
	return r, err
}

func (s countingStore) List(ctx context.Context, dir, after string) iter.Seq2[archive.Entry, error] {
	return func(yield func(archive.Entry, error) bool) {
		for e, err := range s.Store.List(ctx, dir, after) {
			s.count(err)
			if !yield(e, err) {
				return
			}
		}
	}
}

func (s countingStore) Sync(ctx context.Context, names ...string) error {
	err := s.Store.Sync(ctx, names...)
	s.count(err)
	return err
}

func (s countingStore) count(err error) {
	if err == nil {
		s.calls.Add(1)
	}
}
