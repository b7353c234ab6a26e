package storetest

import (
	"errors"
	"slices"
	"testing"

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
