package worker

import (
	"testing"
	"time"
)

func TestCrashesInARow(t *testing.T) {
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	var c crashes
	for i, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {time.Second, 2}, {time.Minute, 3}, {calm - 1, 4}, {calm, 1}, {time.Second, 2}, {24 * time.Hour, 1}} {
		at = at.Add(step.after)
		if c = c.next(at); c.inARow != step.want || c.last != at {
			t.Errorf("panic %d, %s after the one before: %+v, want %d in a row", i+1, step.after, c, step.want)
		}
	}
}
