package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// A chronicle tells what happens, each event with the seconds since the faults began, and keeps what is not as it should
// be. It may be used from any goroutine.
type chronicle struct {
	w io.Writer

	mu    sync.Mutex
	began time.Time
	wrong []string
}

func newChronicle(w io.Writer) *chronicle { return &chronicle{w: w, began: time.Now()} }

// begin sets the clock to zero.
func (c *chronicle) begin(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.began = at
}

// tell prints one event.
func (c *chronicle) tell(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.print(fmt.Sprintf(format, args...))
}

// problem prints, and keeps, what must not happen.
func (c *chronicle) problem(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := fmt.Sprintf(format, args...)
	c.wrong = append(c.wrong, text)
	c.print("PROBLEM: " + text)
}

// problems is how many there were.
func (c *chronicle) problems() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.wrong)
}

func (c *chronicle) print(text string) {
	now := time.Now()
	fmt.Fprintf(c.w, "%s %7.2fs  %s\n", now.UTC().Format("15:04:05.000"), now.Sub(c.began).Seconds(), text)
}
