package storetest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"binkeeper/archive"
)

// Outage is a store that goes bad as a whole and comes back, where Faulty strikes
// a single call. A test in which an outage never met a call fails.
type Outage struct {
	archive.Store
	tb testing.TB

	mu      sync.Mutex
	weather weather
	met     int64         // calls of this weather
	lifted  chan struct{} // closed when this weather is over
}

// weather is how every call fares.
type weather struct {
	name     string        // of what was ordered; "": nothing
	err      error         // it fails with this
	readOnly bool          // unless it reads
	after    bool          // a Create fails after it took effect
	slow     time.Duration // it takes this much longer
	hangs    bool          // it waits until the weather is over, or its context
	syncs    bool          // it strikes what has to become durable alone: Create and Sync
}

// NewOutage returns a store that does what store does, until it is told to go bad.
func NewOutage(tb testing.TB, store archive.Store) *Outage {
	o := &Outage{Store: store, tb: tb, lifted: make(chan struct{})}
	tb.Cleanup(o.Heal)
	return o
}

// Away makes every call fail with err, as a *archive.StoreError.
func (o *Outage) Away(err error) { o.turn(weather{name: "Away", err: err}) }

// ReadOnly makes every Create and Delete fail with err.
func (o *Outage) ReadOnly(err error) { o.turn(weather{name: "ReadOnly", err: err, readOnly: true}) }

// FailSync makes every Create and Sync fail with err, a Create Before it has taken
// effect, as when the file cannot be synced, or After, as when its folder cannot.
func (o *Outage) FailSync(when When, err error) {
	o.turn(weather{name: "FailSync", err: err, syncs: true, after: when == After})
}

// Slow makes every call take d longer, unless its context ends.
func (o *Outage) Slow(d time.Duration) { o.turn(weather{name: "Slow", slow: d}) }

// Hang makes every call wait for Heal, and take effect then, or for the end of its
// context.
func (o *Outage) Hang() { o.turn(weather{name: "Hang", hangs: true}) }

// Heal ends what was ordered, which must have struck.
func (o *Outage) Heal() { o.turn(weather{}) }

// Met is how many calls the outage has met so far.
func (o *Outage) Met() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.met
}

func (o *Outage) turn(to weather) {
	o.tb.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.weather.name != "" && o.met == 0 {
		o.tb.Errorf("the outage %s never struck", o.weather.name)
	}
	close(o.lifted)
	o.weather, o.met, o.lifted = to, 0, make(chan struct{})
}

// suffer lets the weather strike a call, and returns the error to fail with before
// and after the call takes effect.
func (o *Outage) suffer(ctx context.Context, op, name string) (before, after error) {
	o.mu.Lock()
	w, lifted := o.weather, o.lifted
	writes := op == "create" || op == "delete" || op == "sweep"
	strikes := w.name != "" && (!w.syncs || op == "create" || op == "sync") && (!w.readOnly || writes)
	if strikes {
		o.met++
	}
	o.mu.Unlock()
	if !strikes {
		return nil, nil
	}
	var passed <-chan time.Time
	if w.slow > 0 {
		passed = time.After(w.slow)
	}
	if w.slow > 0 || w.hangs {
		select {
		case <-passed:
		case <-lifted:
		case <-ctx.Done():
			return ctx.Err(), nil
		}
	}
	if w.err == nil {
		return nil, nil
	}
	err := &archive.StoreError{Store: o.String(), Op: op, Name: name, Err: w.err}
	if w.after {
		return nil, err
	}
	return err, nil
}

// Create implements archive.Store.
func (o *Outage) Create(ctx context.Context, name string, parts ...[]byte) error {
	before, after := o.suffer(ctx, "create", name)
	if before != nil {
		return before
	}
	if err := o.Store.Create(ctx, name, parts...); after == nil || err != nil && !errors.Is(err, archive.ErrExist) {
		return err
	}
	return after // also of a name that is taken: what has it is not known to be durable
}

// Sync implements archive.Store.
func (o *Outage) Sync(ctx context.Context, names ...string) error {
	if before, after := o.suffer(ctx, "sync", strings.Join(names, " ")); before != nil || after != nil {
		return cmp.Or(before, after)
	}
	return o.Store.Sync(ctx, names...)
}

// Open implements archive.Store.
func (o *Outage) Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	if err, _ := o.suffer(ctx, "open", name); err != nil {
		return nil, err
	}
	return o.Store.Open(ctx, name, offset, length)
}

// List implements archive.Store.
func (o *Outage) List(ctx context.Context, dir, after string) iter.Seq2[archive.Entry, error] {
	if err, _ := o.suffer(ctx, "list", dir); err != nil {
		return func(yield func(archive.Entry, error) bool) { yield(archive.Entry{}, err) }
	}
	return o.Store.List(ctx, dir, after)
}

// Delete implements archive.Store.
func (o *Outage) Delete(ctx context.Context, name string) error {
	if err, _ := o.suffer(ctx, "delete", name); err != nil {
		return err
	}
	return o.Store.Delete(ctx, name)
}

// Sweep implements archive.Store.
func (o *Outage) Sweep(ctx context.Context, dir string) (int, error) {
	if err, _ := o.suffer(ctx, "sweep", dir); err != nil {
		return 0, err
	}
	return o.Store.Sweep(ctx, dir)
}
