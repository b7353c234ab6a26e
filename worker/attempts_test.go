package worker

import (
	"errors"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/backoff"
	"binkeeper/worker/dump"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

// TestAfter says what is remembered of each way in which an attempt ends, and what follows.
func TestAfter(t *testing.T) {
	const look = time.Minute
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	earlier := now.Add(-time.Hour)
	corrupt := &source.CorruptError{File: "b.000001", Offset: 4}
	tests := []struct {
		name   string
		before attempts
		ending dump.Ending
		want   attempts
		then   consequence
	}{
		{"in order", attempts{begun: 3, retryAt: earlier, failures: 2, away: earlier, doubted: true}, dump.Ending{Kind: dump.EndedInOrder},
			attempts{begun: 3, failures: 2, away: earlier, doubted: true}, noWord},
		{"fenced", attempts{failures: 1}, dump.Ending{Kind: dump.EndedFenced}, attempts{failures: 1}, leaveTerm},
		{"a panic", attempts{failures: 1}, dump.Ending{Kind: dump.EndedByPanic, Reason: dump.ReasonPanic}, attempts{failures: 1}, giveUpTask},

		{"the first conflict", attempts{}, dump.Ending{Kind: dump.EndedByConflict}, attempts{conflicts: 1, retryAt: now}, noWord},
		{"the second in a row", attempts{conflicts: 1}, dump.Ending{Kind: dump.EndedByConflict}, attempts{conflicts: 2, retryAt: now.Add(backoff.Delay(1))}, sayTrouble},
		{"the fifth", attempts{conflicts: 4}, dump.Ending{Kind: dump.EndedByConflict}, attempts{conflicts: 5, retryAt: now.Add(backoff.Delay(4))}, sayTrouble},
		{"cut off", attempts{failures: 2, away: earlier}, dump.Ending{Kind: dump.EndedCutOff}, attempts{failures: 2, away: earlier, retryAt: now.Add(backoff.Delay(1))}, noWord},

		{"blocked", attempts{failures: 2, away: earlier}, dump.Ending{Kind: dump.EndedBlocked, Reason: zkpaths.BlockedOtherSource}, attempts{retryAt: now.Add(look)}, sayBlock},
		{"blocked by what the stream has shown", attempts{}, dump.Ending{Kind: dump.EndedBlocked, Found: archive.ReasonDiverged, Disproved: true},
			attempts{retryAt: now.Add(look), found: archive.ReasonDiverged, doubted: true}, sayBlock},
		{"blocked by something else since", attempts{found: archive.ReasonDiverged}, dump.Ending{Kind: dump.EndedBlocked}, attempts{retryAt: now.Add(look)}, sayBlock},

		{"torn, and the file behind is not looked at yet", attempts{failures: 2}, dump.Ending{Kind: dump.EndedTorn, TornHere: true, Reason: dump.ReasonSource},
			attempts{failures: 2, torn: true, retryAt: now}, noWord},
		{"torn once more", attempts{torn: true}, dump.Ending{Kind: dump.EndedTorn, Reason: dump.ReasonSource},
			attempts{failures: 1, away: now, retryAt: now.Add(backoff.Delay(1))}, sayTrouble},

		{"the source is away", attempts{}, dump.Ending{Kind: dump.EndedByTrouble, Reason: dump.ReasonSource}, attempts{failures: 1, away: now, retryAt: now.Add(backoff.Delay(1))}, sayTrouble},
		{"still", attempts{failures: 3, away: earlier}, dump.Ending{Kind: dump.EndedByTrouble, Reason: dump.ReasonSource},
			attempts{failures: 4, away: earlier, retryAt: now.Add(backoff.Delay(4))}, sayTrouble},
		{"the store is away", attempts{}, dump.Ending{Kind: dump.EndedByTrouble, Reason: dump.ReasonStore, Disproved: true},
			attempts{failures: 1, away: now, doubted: true, retryAt: now.Add(backoff.Delay(1))}, sayTrouble},
		{"ZooKeeper refuses: no other worker would fare better", attempts{failures: 1, away: earlier}, dump.Ending{Kind: dump.EndedByTrouble, Reason: dump.ReasonCoordination},
			attempts{failures: 2, retryAt: now.Add(backoff.Delay(2))}, sayTrouble},
		{"a fault in what the source sent", attempts{}, dump.Ending{Kind: dump.EndedByTrouble, Reason: dump.ReasonSource, Corrupt: corrupt},
			attempts{failures: 1, away: now, corrupt: corrupt, retryAt: now.Add(backoff.Delay(1))}, sayTrouble},
		{"and none since", attempts{corrupt: corrupt, torn: true}, dump.Ending{Kind: dump.EndedInOrder}, attempts{}, noWord},

		{"it has walked and swept", attempts{}, dump.Ending{Kind: dump.EndedInOrder, Walked: true, Swept: true}, attempts{walked: true, swept: true}, noWord},
		{"an earlier one had, in this term", attempts{walked: true, swept: true, doubted: true}, dump.Ending{Kind: dump.EndedCutOff},
			attempts{walked: true, swept: true, doubted: true, retryAt: now.Add(backoff.Delay(1))}, noWord},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := test.before
			got, then := test.before.after(test.ending, now, look)
			if got != test.want || then != test.then {
				t.Errorf("got %+v and %d,\nwant %+v and %d", got, then, test.want, test.then)
			}
			if test.before != before {
				t.Error("what was remembered before has changed")
			}
		})
	}
}

// Failures in a row are tried again more and more rarely, and what works makes an end of it.
func TestAttemptsInARow(t *testing.T) {
	began := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	now := began
	var a attempts
	trouble := dump.Ending{Kind: dump.EndedByTrouble, Reason: dump.ReasonSource, Err: errors.New("refused")}
	for n := 1; n <= 10; n++ {
		a, _ = a.after(trouble, now, time.Minute)
		if wait := a.retryAt.Sub(now); wait != backoff.Delay(n) || !a.away.Equal(began) {
			t.Errorf("after failure %d the next attempt is due in %s, away since %s", n, wait, a.away)
		}
		now = a.retryAt
	}
	a.doubted, a.found, a.conflicts, a.walked, a.swept, a.begun = true, archive.ReasonGap, 2, true, true, 11
	if got, want := a.paused(), (attempts{doubted: true, found: archive.ReasonGap, conflicts: 2, walked: true, swept: true, begun: 11, retryAt: now}); got != want {
		t.Errorf("paused: got %+v, want %+v", got, want)
	}
	if got, want := a.working(), (attempts{walked: true, swept: true, begun: 11, retryAt: now}); got != want {
		t.Errorf("working: got %+v, want %+v", got, want)
	}
}

// What is remembered is what the next attempt is told.
func TestBefore(t *testing.T) {
	corrupt := &source.CorruptError{File: "b.000001", Offset: 4}
	a := attempts{walked: true, swept: true, found: archive.ReasonGap, torn: true, corrupt: corrupt}
	want := dump.Before{Known: "b.000007", Walked: true, Swept: true, Found: archive.ReasonGap, Torn: true, Corrupt: corrupt}
	if got := a.before("b.000007"); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
