// Package guard turns a panic into an error, so that what goes wrong with one task ends
// that task's work and not the process with all of them.
//
// Every goroutine that works for one task runs what it does by Call, or in a Group; so a
// panic is met where the goroutine's owner waits for it, as any other error. What a panic
// unwinds is put right by deferred calls, as always. Go gives no chance where memory
// is out, or a map is written by two at once: that ends the process still.
package guard

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
)

// PanicError is what was a panic.
type PanicError struct {
	Value any    // what panic was called with
	Stack []byte // of the goroutine, as text
}

// Error is the message, on one line.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Hint is the operator's next step.
func (e *PanicError) Hint() string {
	return "this is a bug of Binkeeper: please report it, with the stack that the worker has logged; the task is tried again by itself"
}

// Panicked returns the panic in err's tree, or nil.
func Panicked(err error) *PanicError {
	var p *PanicError
	errors.As(err, &p)
	return p
}

// Call calls f. A panic of f is returned as a *PanicError.
func Call(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}

// A Group is goroutines that work on one thing, as errgroup has them; a panic is an
// error of theirs.
type Group struct{ group *errgroup.Group }

// WithContext returns a Group, and a context that ends with the first error in it.
func WithContext(ctx context.Context) (*Group, context.Context) {
	g, ctx := errgroup.WithContext(ctx)
	return &Group{g}, ctx
}

// Go runs Call of f in a goroutine of the group.
func (g *Group) Go(f func() error) { g.group.Go(func() error { return Call(f) }) }

// Wait waits until all goroutines have ended, and returns the first error.
func (g *Group) Wait() error { return g.group.Wait() }
