package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"binkeeper/scripts/internal/localstack"
)

// story tells what happens, each event with the seconds since the beginning.
type story struct {
	w     io.Writer
	began time.Time
}

func newStory(w io.Writer) *story { return &story{w: w, began: time.Now()} }

// tell prints one event.
func (s *story) tell(format string, args ...any) {
	fmt.Fprintf(s.w, "%5.1fs  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// show prints a command and its output below the last event.
func (s *story) show(command localstack.Command) {
	const indent = "        "
	fmt.Fprintf(s.w, "%s$ %s\n", indent, command.Line)
	for line := range strings.Lines(command.Stdout) {
		fmt.Fprint(s.w, indent, line)
	}
}

// mebibytes writes a number of bytes in MiB.
func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// round writes a duration to the hundredth of a second.
func round(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
