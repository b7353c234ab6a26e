package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
)

// A recorder is a test that keeps its verdict to itself.
type recorder struct {
	testing.TB
	failed   bool
	cleanups []func()
}

func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Cleanup(f func())      { r.cleanups = append(r.cleanups, f) }

func (r *recorder) end() {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
}

func newFaulty(t *testing.T) (*Faulty, *recorder) {
	t.Helper()
	store, err := dirstore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{TB: t}
	return NewFaulty(r, store), r
}

func TestFaultyIsAStore(t *testing.T) {
	Run(t, func(t *testing.T) archive.Store {
		f, _ := newFaulty(t)
		return f
	})
}

func TestFaultMustStrike(t *testing.T) {
	tests := []struct {
		name string
		plan func(f *Faulty)
	}{
		{"FailCreate", func(f *Faulty) { f.FailCreate(2, Before, nil) }},
		{"FailOpen", func(f *Faulty) { f.FailOpen(1, nil) }},
		{"FailRead", func(f *Faulty) { f.FailRead(1, nil) }},
		{"FailList", func(f *Faulty) { f.FailList(1, nil) }},
		{"FailSync", func(f *Faulty) { f.FailSync(1, nil) }},
		{"HangCreate", func(f *Faulty) { f.HangCreate(2, After) }},
	}
	for _, test := range tests {
		f, r := newFaulty(t)
		test.plan(f)
		if err := f.Create(t.Context(), "object"); err != nil {
			t.Errorf("%s: the first Create failed: %v", test.name, err)
		}
		if r.end(); !r.failed {
			t.Errorf("%s: the test passed although the fault never struck", test.name)
		}
	}
}

func TestFailCreate(t *testing.T) {
	for when, exists := range map[When]bool{Before: false, After: true} {
		f, r := newFaulty(t)
		f.FailCreate(1, when, nil)
		store := (*archive.StoreError)(nil)
		if err := f.Create(t.Context(), "object"); !errors.As(err, &store) || !errors.Is(err, ErrInjected) {
			t.Errorf("got %v, want a *StoreError for ErrInjected", err)
		}
		if err := f.Create(t.Context(), "object"); errors.Is(err, archive.ErrExist) != exists {
			t.Errorf("second Create: got %v, want ErrExist: %t", err, exists)
		}
		if r.end(); r.failed {
			t.Error("the test failed although the fault struck")
		}
	}
}

func TestHangCreate(t *testing.T) {
	for when, exists := range map[When]bool{Before: false, After: true} {
		f, r := newFaulty(t)
		reached, release := f.HangCreate(1, when)
		done := make(chan error)
		go func() { done <- f.Create(t.Context(), "object") }()
		<-reached
		if _, err := f.Open(t.Context(), "object", 0, -1); (err == nil) != exists {
			t.Errorf("while it hangs: got %v, want the object to exist: %t", err, exists)
		}
		release()
		if err := <-done; err != nil {
			t.Errorf("released: %v", err)
		}
		if r.end(); r.failed {
			t.Error("the test failed although the fault struck")
		}
	}
}

func newOutage(t *testing.T) (*Outage, *recorder) {
	t.Helper()
	store, err := dirstore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{TB: t}
	return NewOutage(r, store), r
}

func TestOutageIsAStore(t *testing.T) {
	Run(t, func(t *testing.T) archive.Store {
		o, _ := newOutage(t)
		return o
	})
}

func TestOutages(t *testing.T) {
	tests := []struct {
		name                  string
		order                 func(o *Outage)
		creates, opens, stays bool // whether a Create and an Open succeed, and whether the object is there afterwards
	}{
		{"away", func(o *Outage) { o.Away(ErrInjected) }, false, false, false},
		{"read-only", func(o *Outage) { o.ReadOnly(ErrInjected) }, false, true, false},
		{"no sync of the file", func(o *Outage) { o.FailSync(Before, ErrInjected) }, false, true, false},
		{"no sync of the folder", func(o *Outage) { o.FailSync(After, ErrInjected) }, false, true, true},
		{"slow", func(o *Outage) { o.Slow(time.Millisecond) }, true, true, true},
	}
	for _, test := range tests {
		o, r := newOutage(t)
		if err := o.Create(t.Context(), "before"); err != nil {
			t.Fatal(err)
		}
		test.order(o)
		store := (*archive.StoreError)(nil)
		if err := o.Create(t.Context(), "object"); (err == nil) != test.creates || err != nil && !errors.As(err, &store) {
			t.Errorf("%s: Create: got %v, want it to succeed: %t", test.name, err, test.creates)
		}
		if _, err := o.Open(t.Context(), "before", 0, -1); (err == nil) != test.opens {
			t.Errorf("%s: Open: got %v, want it to succeed: %t", test.name, err, test.opens)
		}
		if o.Met() == 0 {
			t.Errorf("%s has met no call", test.name)
		}
		o.Heal()
		if _, err := o.Open(t.Context(), "object", 0, -1); (err == nil) != test.stays {
			t.Errorf("%s: got %v, want the object to be there: %t", test.name, err, test.stays)
		}
		test.order(o)
		if r.end(); !r.failed {
			t.Errorf("%s: the test passed although the outage never struck", test.name)
		}
	}
}

func TestOutageHangs(t *testing.T) {
	o, _ := newOutage(t)
	o.Hang()
	done := make(chan error)
	go func() { done <- o.Create(context.Background(), "object") }()
	for o.Met() == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.Create(ctx, "other"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
	o.Heal()
	if err := <-done; err != nil {
		t.Errorf("healed: %v", err)
	}
}
