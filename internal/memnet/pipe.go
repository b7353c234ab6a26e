// Package memnet is a network in memory, for tests: connections whose reads wait by channels and timers alone, so that a
// testing/synctest bubble knows when all wait, and time can go on.
package memnet

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Pipe returns the two ends of a connection in memory. Unlike net.Pipe's its ends hold what was written until it is
// read, without a bound, so that a peer that does not read for a while is not taken for a dead one.
func Pipe() (a, b net.Conn) {
	there, back := newFlow(), newFlow()
	return &end{in: back, out: there}, &end{in: there, out: back}
}

// A flow is one direction of a connection.
type flow struct {
	mu      sync.Mutex
	bytes   []byte
	closed  bool
	changed chan struct{} // closed and replaced at each change
}

func newFlow() *flow { return &flow{changed: make(chan struct{})} }

func (f *flow) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	close(f.changed)
	f.changed = make(chan struct{})
}

// An end is one end of a connection.
type end struct {
	in, out  *flow
	mu       sync.Mutex
	deadline time.Time // of reads; a write never waits
}

func (e *end) Read(p []byte) (int, error) {
	for {
		e.in.mu.Lock()
		n := copy(p, e.in.bytes)
		e.in.bytes = e.in.bytes[n:]
		closed, changed := e.in.closed, e.in.changed
		e.in.mu.Unlock()
		e.mu.Lock()
		deadline := e.deadline
		e.mu.Unlock()
		switch {
		case n > 0 || len(p) == 0:
			return n, nil
		case closed:
			return 0, io.EOF
		case !deadline.IsZero() && !time.Now().Before(deadline):
			return 0, os.ErrDeadlineExceeded
		}
		wait(changed, deadline)
	}
}

// wait waits for a change, or until the deadline.
func wait(changed <-chan struct{}, deadline time.Time) {
	var due <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-changed:
	case <-due:
	}
}

func (e *end) Write(p []byte) (int, error) {
	var err error
	e.out.change(func() {
		if e.out.closed {
			err = io.ErrClosedPipe
			return
		}
		e.out.bytes = append(e.out.bytes, p...)
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close ends both directions. What was written before can still be read.
func (e *end) Close() error {
	e.out.change(func() { e.out.closed = true })
	e.in.change(func() { e.in.closed = true })
	return nil
}

func (e *end) SetReadDeadline(t time.Time) error {
	e.mu.Lock()
	e.deadline = t
	e.mu.Unlock()
	e.in.change(func() {}) // a read that waits looks at the new deadline
	return nil
}

func (e *end) SetDeadline(t time.Time) error    { return e.SetReadDeadline(t) }
func (e *end) SetWriteDeadline(time.Time) error { return nil }
func (e *end) LocalAddr() net.Addr              { return address{} }
func (e *end) RemoteAddr() net.Addr             { return address{} }

type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return "memory" }
