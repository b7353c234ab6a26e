package worker

import (
	"time"

	"binkeeper/internal/backoff"
	"binkeeper/worker/dump"
	"binkeeper/worker/source"
)

// attempts is what a term remembers of the dumps that it has begun: when the next one is
// due, and what that has to know.
type attempts struct {
	begun     int64     // in this term
	failures  int       // in a row
	conflicts int       // in a row that met another writer
	retryAt   time.Time // when the next one is due
	away      time.Time // since when the source or the store cannot be reached; zero: reached
	doubted   bool      // the last one failed although it was open: the next one has to show more

	walked  bool                 // the checkpoint has been brought to the chain's end in this term
	swept   bool                 // what dead writers had left in the archive has been removed in this term
	found   string               // what the last one found in the stream: the reason of a new timeline
	torn    bool                 // the last one has taken all that the source can send of a file
	corrupt *source.CorruptError // the fault in what the source sent that ended the last one, or nil
}

// A consequence is what a term does about the end of a dump, besides beginning another
// when that is due.
type consequence int

const (
	noWord     consequence = iota // nothing is wrong, or not worth a word yet
	sayTrouble                    // the task is starting, and why it cannot
	sayBlock                      // the task waits for an operator, or for another worker
	leaveTerm                     // another worker is primary
	giveUpTask                    // a panic: nothing of this term is to be relied on
)

// after is what is remembered once a dump has ended with e, and what follows. blockedLook
// is how long after a block the next dump is due.
func (a attempts) after(e dump.Ending, now time.Time, blockedLook time.Duration) (attempts, consequence) {
	a.walked, a.swept = a.walked || e.Walked, a.swept || e.Swept
	a.doubted = a.doubted || e.Disproved
	a.torn, a.corrupt = e.TornHere, e.Corrupt
	switch e.Kind {
	case dump.EndedInOrder:
		a.retryAt = time.Time{}
		return a, noWord
	case dump.EndedFenced:
		return a, leaveTerm
	case dump.EndedByPanic:
		return a, giveUpTask
	case dump.EndedByConflict:
		// The barrier of the next dump tells whether this is still the primary's term.
		a.retryAt = now
		if a.conflicts++; a.conflicts == 1 {
			return a, noWord
		}
		a.retryAt = now.Add(backoff.Delay(a.conflicts - 1))
		return a, sayTrouble
	case dump.EndedCutOff:
		a.retryAt = now.Add(backoff.Delay(1))
		return a, noWord
	case dump.EndedBlocked:
		a.retryAt, a.found = now.Add(blockedLook), e.Found
		a.away, a.failures = time.Time{}, 0
		return a, sayBlock
	}
	if e.TornHere { // the next dump looks at the file behind
		a.retryAt = now
		return a, noWord
	}
	a.failures++
	a.retryAt = now.Add(backoff.Delay(a.failures))
	if e.Reason == dump.ReasonCoordination {
		a.away = time.Time{} // no other worker would fare better
	} else if a.away.IsZero() {
		a.away = now
	}
	return a, sayTrouble
}

// working is what is remembered once a dump is known to work: the source and the store
// are there.
func (a attempts) working() attempts {
	a.away, a.failures, a.conflicts, a.doubted, a.found = time.Time{}, 0, 0, false, ""
	return a
}

// paused is what is remembered of attempts that the operator has put an end to.
func (a attempts) paused() attempts {
	a.away, a.failures = time.Time{}, 0
	return a
}

// before is what the next dump has to know. known is the file that the archive has come
// to as far as the status knows, or "".
func (a attempts) before(known string) dump.Before {
	return dump.Before{Known: known, Walked: a.walked, Swept: a.swept, Found: a.found, Torn: a.torn, Corrupt: a.corrupt}
}
