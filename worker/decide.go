package worker

import (
	"time"

	"binkeeper/zkpaths"
)

// bounds are the times that a primary goes by. Tests shorten them.
type bounds struct {
	// unreachable is how long a primary may be without its source or its store
	// before it yields to a standby that may reach them.
	unreachable time.Duration
	// lastResort is how long a primary may be without them before it yields to a
	// standby that has found itself blocked, too.
	lastResort time.Duration
	// blockedLook is how often a blocked primary looks again.
	blockedLook time.Duration
	// wedge is how long no byte may move in any stage, while there are some to
	// move, before the watchdog gives the term up.
	wedge time.Duration
	// report is how often a primary writes its status without a change.
	report time.Duration
	// address is how often a primary asks its source's address who answers.
	address time.Duration
	// secondLook is how long after a walk that has come to less than the checkpoint
	// the second one begins, without which that is not believed: NFS answers for some
	// time from what it has not found before.
	secondLook time.Duration
	// vanished is how long the spec that removes a vanished task stands, from when this
	// worker has seen it first.
	vanished time.Duration
}

// catchUpReport is how often a primary that catches up writes its status.
const catchUpReport = 2 * time.Second

// defaultBounds are a worker's bounds outside tests; docs/architecture.md has the reasons.
var defaultBounds = bounds{
	unreachable: 30 * time.Second,
	lastResort:  30 * time.Minute,
	blockedLook: 30 * time.Second,
	wedge:       time.Minute,
	report:      10 * time.Second,
	address:     time.Minute,
	secondLook:  5 * time.Second,
	vanished:    zkpaths.VanishedStands,
}

// lineFacts is what a member knows when it is to decide what to do in the line.
type lineFacts struct {
	SpecKnown bool
	Gone      bool // the task is no more
	Desired   string
	Stands    bool // the spec, which removes a vanished task, for those to see who have not yet
	Joined    bool
	LineKnown bool // the line has been seen since joining
	InLine    bool // with the own instance in it
	First     bool
	Connected bool
}

type lineAction int

const (
	standBy lineAction = iota
	join
	forget // the own instance is gone: join again
	leave  // the task is being removed: leave the line, and delete its nodes when the line is empty
	claim
)

// decideInLine says what a member does next.
func decideInLine(p lineFacts) lineAction {
	switch {
	case !p.SpecKnown || !p.Connected:
		return standBy
	case p.Gone && p.Joined, p.LineKnown && !p.InLine:
		return forget
	case p.Gone:
		return standBy
	case p.Desired == zkpaths.Removed && p.Stands && !p.Joined:
		return standBy
	case p.Desired == zkpaths.Removed:
		return leave
	case !p.Joined:
		return join
	case p.First:
		return claim
	}
	return standBy
}

// termFacts is what a primary knows when it is to decide what to do.
type termFacts struct {
	Gone       bool // the task is no more
	InLine     bool // the own instance stands
	Desired    string
	SwitchAway bool // the operator wants an instance behind this one
	Others     bool // another instance stands behind this one
	Untried    bool // one of those has not found a block
	HandOn     bool // this one is blocked, as perhaps not all are
	Connected  bool
	Stopping   bool // the worker ends
	Dumping    bool
	DumpStale  bool // the spec has changed since the dump began
	Wedged     bool
	RetryDue   bool
	Away       time.Duration // for how long the source or the store cannot be reached
	YieldAfter time.Duration // how long Away may get
	LastResort time.Duration // the same, where all others are known to be blocked
}

type termAction int

const (
	carryOn   termAction = iota
	endTerm              // replaced, or the task is no more
	resign               // wedged: leave the line without a word
	handOver             // flush, commit, leave the line
	yield                // the same, to the end of the line
	endDump              // flush and commit; what follows is decided anew
	pause                // say so
	beginDump            // look for the chain's end and dump from there
)

// decideInTerm says what a primary does next.
func decideInTerm(t termFacts) termAction {
	switch {
	case t.Gone || !t.InLine:
		return endTerm
	case t.Wedged:
		return resign
	case t.Stopping || t.Desired == zkpaths.Removed:
		return handOver
	case t.Desired == zkpaths.Paused && t.Dumping:
		return endDump
	case t.Desired == zkpaths.Paused:
		return pause
	case t.SwitchAway && t.Connected:
		return yield
	case t.Dumping && t.DumpStale:
		return endDump
	case t.HandOn && !t.Dumping && t.Connected:
		return yield
	case t.Away >= t.YieldAfter && t.Untried && t.Connected, t.Away >= t.LastResort && t.Others && t.Connected:
		return yield
	case !t.Dumping && t.RetryDue && t.Connected:
		return beginDump
	}
	return carryOn
}

// stands reports whether own is in the line.
func stands(line []zkpaths.Place, own zkpaths.Place) bool {
	for _, p := range line {
		if p.Name == own.Name {
			return true
		}
	}
	return false
}

// switchAway reports whether the operator wants an instance that stands behind
// own in the line.
func switchAway(line []zkpaths.Place, own zkpaths.Place, target string) bool {
	behind := false
	for _, p := range line {
		if p.Name == own.Name {
			behind = true
		} else if p.Name == target {
			return behind
		}
	}
	return false
}

// answered reports whether the operator has changed something that a dump which
// failed may fare better with.
func answered(before, after zkpaths.Spec) bool {
	return after.Accept != nil && (before.Accept == nil || *before.Accept != *after.Accept) ||
		!before.ResumedAt.Equal(after.ResumedAt.Time) || before.Source != after.Source || before.PasswordRef != after.PasswordRef || before.Archive != after.Archive || before.Desired != after.Desired
}

// longestYieldAfter bounds how long a primary that has yielded in vain, again and
// again, stays without its source or its store before it yields once more.
const longestYieldAfter = 10 * time.Minute

// nextYieldAfter is how long the primary of a new term may be without its source or
// its store before it yields: last as in its last term, first when another one has
// come to run meanwhile. yielded is the term in which it has yielded for want of them
// last, 0 when it has not since; seen are the status' transitions.
func nextYieldAfter(last, first time.Duration, yielded int64, seen []zkpaths.Transition) time.Duration {
	if yielded == 0 {
		return last
	}
	for _, change := range seen {
		if change.To == zkpaths.StateRunning && change.Term > yielded {
			return first // what was away is there for others, so that yielding helps
		}
	}
	return max(first, min(2*last, longestYieldAfter))
}
