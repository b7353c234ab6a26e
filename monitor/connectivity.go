package monitor

import (
	"errors"
	"time"
)

const (
	// blindAfter is how long ZooKeeper may be away before the monitor calls itself
	// blind: longer than an ensemble takes to elect.
	blindAfter = 10 * time.Second
	// sweepBound is how long ago the last look at everything may be.
	sweepBound = 3 * sweepEvery
)

var errSlow = errors.New("no look at all tasks has come to its end for " + sweepBound.String())

// connectivity is whether ZooKeeper can be read, and the clock of all ages, which runs
// only while it can.
type connectivity struct {
	clock   time.Time // what it showed when it last began to run, or stopped
	since   time.Time // since when it runs; zero: it stands still
	lost    time.Time // since when ZooKeeper cannot be read; zero: it can
	scanned time.Time // the end of the last look at everything, or the session's beginning
	swept   time.Time // the end of the last look at everything; zero: never
	trouble error     // why it cannot be read
}

func newConnectivity(at time.Time) connectivity {
	return connectivity{clock: at, lost: at, trouble: errors.New("no session yet")}
}

// now is what the clock shows at a time.
func (s *connectivity) now(at time.Time) time.Time {
	if s.since.IsZero() {
		return s.clock
	}
	return s.clock.Add(at.Sub(s.since))
}

// lose takes note that ZooKeeper cannot be read.
func (s *connectivity) lose(at time.Time, trouble error) {
	s.clock, s.since, s.trouble = s.now(at), time.Time{}, trouble
	if s.lost.IsZero() {
		s.lost = at
	}
}

// open records a new session. The clock waits for a look at everything: until
// then much of what is remembered is old.
func (s *connectivity) open(at time.Time) { s.lost, s.scanned, s.trouble = time.Time{}, at, nil }

// sweep records a look at everything.
func (s *connectivity) sweep(at time.Time) {
	s.clock, s.since = s.now(at), at
	s.lost, s.scanned, s.swept, s.trouble = time.Time{}, at, at, nil
}

// check records the time: a session in which nothing comes to its end is
// worth no more than none.
func (s *connectivity) check(at time.Time) {
	if s.lost.IsZero() && at.Sub(s.scanned) > sweepBound {
		s.lose(at, errSlow)
	}
}

// clear reports whether what is remembered is what there is.
func (s *connectivity) clear() bool { return !s.since.IsZero() }

// blind reports whether ZooKeeper has been away for too long to say anything.
func (s *connectivity) blind(at time.Time) bool {
	return !s.lost.IsZero() && (at.Sub(s.lost) >= blindAfter || s.trouble == errSlow)
}
