package storetest

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"testing"

	"binkeeper/archive"
)

// When says when a fault strikes a Create.
type When int

// The times at which a Create can fail.
const (
	Before When = iota // nothing was stored
	After              // the object was stored, but the reply was lost
)

// ErrInjected is the cause of the *archive.StoreError with which an injected fault
// fails, unless another is given.
var ErrInjected = errors.New("injected fault")

// Faulty is a store on which faults strike calls, counted from 1 in each kind
// from the time the store was made. A test in which a fault never struck fails,
// since it proves nothing.
type Faulty struct {
	archive.Store
	t testing.TB

	mu     sync.Mutex
	counts map[kind]int
	faults map[call]*fault
}

type kind string

const (
	creates kind = "Create"
	opens   kind = "Open"
	reads   kind = "Read of Open"
	lists   kind = "List"
	syncs   kind = "Sync"
)

type call struct {
	kind kind
	nth  int
}

type fault struct {
	err     error
	when    When
	struck  bool
	reached chan struct{} // closed when a call that hangs has come; else nil
	release chan struct{}
}

// NewFaulty returns a store that does what store does, until a fault is asked for.
func NewFaulty(t testing.TB, store archive.Store) *Faulty {
	return &Faulty{Store: store, t: t, counts: map[kind]int{}, faults: map[call]*fault{}}
}

// FailCreate makes the nth Create fail with err, or ErrInjected when err is nil.
func (f *Faulty) FailCreate(nth int, when When, err error) {
	f.plan(call{creates, nth}, &fault{err: f.storeError("create", err), when: when})
}

// FailOpen makes the nth Open fail with err, or ErrInjected when err is nil.
func (f *Faulty) FailOpen(nth int, err error) {
	f.plan(call{opens, nth}, &fault{err: f.storeError("open", err)})
}

// FailRead makes reading from the nth Open that succeeds fail at once.
func (f *Faulty) FailRead(nth int, err error) {
	f.plan(call{reads, nth}, &fault{err: f.storeError("read", err)})
}

// FailList makes the nth List fail with err, or ErrInjected when err is nil.
func (f *Faulty) FailList(nth int, err error) {
	f.plan(call{lists, nth}, &fault{err: f.storeError("list", err)})
}

// FailSync makes the nth Sync fail with err, or ErrInjected when err is nil.
func (f *Faulty) FailSync(nth int, err error) {
	f.plan(call{syncs, nth}, &fault{err: f.storeError("sync", err)})
}

// HangCreate makes the nth Create hang until release is called, whatever happens to
// its context meanwhile: Before it takes effect, like a put that arrives late, or
// After. reached is closed when it hangs. The end of the test releases it, too.
func (f *Faulty) HangCreate(nth int, when When) (reached <-chan struct{}, release func()) {
	h := &fault{when: when, reached: make(chan struct{}), release: make(chan struct{})}
	f.plan(call{creates, nth}, h)
	release = sync.OnceFunc(func() { close(h.release) })
	f.t.Cleanup(release)
	return h.reached, release
}

func (f *Faulty) storeError(op string, err error) error {
	if err == nil {
		err = ErrInjected
	}
	if errors.Is(err, archive.ErrExist) || errors.Is(err, archive.ErrNotExist) {
		return err
	}
	return &archive.StoreError{Store: f.String(), Op: op, Err: err}
}

func (f *Faulty) plan(c call, planned *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[c] = planned
	f.t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !planned.struck {
			f.t.Errorf("the fault of %s %d never struck", c.kind, c.nth)
		}
	})
}

// strike counts a call and returns the fault that strikes it, or nil.
func (f *Faulty) strike(k kind) *fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[k]++
	planned := f.faults[call{k, f.counts[k]}]
	if planned != nil {
		planned.struck = true
	}
	return planned
}

// wait hangs if the fault does so, and returns its error.
func (h *fault) wait() error {
	if h.reached != nil {
		close(h.reached)
		<-h.release
	}
	return h.err
}

// Create implements archive.Store.
func (f *Faulty) Create(ctx context.Context, name string, parts ...[]byte) error {
	planned := f.strike(creates)
	if planned == nil {
		return f.Store.Create(ctx, name, parts...)
	}
	if planned.when == Before {
		if err := planned.wait(); err != nil {
			return err
		}
		return f.Store.Create(context.WithoutCancel(ctx), name, parts...)
	}
	if err := f.Store.Create(ctx, name, parts...); err != nil {
		return err
	}
	return planned.wait()
}

// Open implements archive.Store.
func (f *Faulty) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if planned := f.strike(opens); planned != nil {
		return nil, planned.err
	}
	r, err := f.Store.Open(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	if planned := f.strike(reads); planned != nil {
		return failingReader{r, planned.err}, nil
	}
	return r, nil
}

type failingReader struct {
	io.Closer
	err error
}

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

// List implements archive.Store.
func (f *Faulty) List(ctx context.Context, dir, after string) iter.Seq2[archive.Entry, error] {
	if planned := f.strike(lists); planned != nil {
		return func(yield func(archive.Entry, error) bool) { yield(archive.Entry{}, planned.err) }
	}
	return f.Store.List(ctx, dir, after)
}

// Sync implements archive.Store.
func (f *Faulty) Sync(ctx context.Context, names ...string) error {
	if planned := f.strike(syncs); planned != nil {
		return planned.err
	}
	return f.Store.Sync(ctx, names...)
}
