package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// aRig is a rig without servers, whose only kind of fault is as the test wants it.
func aRig(t *testing.T, f fault) (*rig, *strings.Builder) {
	t.Helper()
	var told strings.Builder
	planned := planners["rotate"]
	t.Cleanup(func() { planners["rotate"] = planned })
	planners["rotate"] = func(*rig, context.Context, strike) (fault, error) { return f, nil }
	return &rig{log: newChronicle(io.Writer(&told)), held: map[string]string{}}, &told
}

func TestStrikesAreCounted(t *testing.T) {
	nothing := func(context.Context) error { return nil }
	tests := []struct {
		name                          string
		fault                         fault
		wantStruck, wantMissed, wrong int
		want                          string // in the log
	}{
		{"at a moment", fault{strike: nothing}, 1, 0, 0, "struck"},
		{"for a while", fault{strike: nothing, heal: nothing}, 1, 0, 0, "healed"},
		{"nobody there", fault{strike: func(context.Context) error { return errors.New("it is dead") }, heal: nothing}, 0, 1, 0, "MISSED: it is dead"},
		{"nothing met", fault{strike: nothing, heal: func(context.Context) error { return missed("nothing passed") }}, 0, 1, 0, "MISSED after all: nothing passed"},
		{"not healed", fault{strike: nothing, heal: func(context.Context) error { return errors.New("it does not start") }}, 1, 0, 1, "PROBLEM"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, told := aRig(t, test.fault)
			synctest.Test(t, func(t *testing.T) {
				got := r.strikeAll(t.Context(), []strike{{number: 1, at: second, lasts: second, kind: "rotate", target: "mysql"}}, 3*second)
				if got.struck["rotate"] != test.wantStruck || got.missed["rotate"] != test.wantMissed || r.log.problems() != test.wrong {
					t.Errorf("tally %v and %v, %d problems, want %d and %d, %d", got.struck, got.missed, r.log.problems(), test.wantStruck, test.wantMissed, test.wrong)
				}
				if !strings.Contains(told.String(), test.want) {
					t.Errorf("log %q, want %q in it", told, test.want)
				}
			})
		})
	}
}

func TestStrikesOverlapButNotOnOneTarget(t *testing.T) {
	nothing := func(context.Context) error { return nil }
	r, told := aRig(t, fault{holds: []string{"worker 1"}, strike: nothing, heal: nothing})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		got := r.strikeAll(t.Context(), []strike{
			{number: 1, at: 1 * second, lasts: 3 * second, kind: "rotate"},
			{number: 2, at: 2 * second, lasts: 1 * second, kind: "rotate"},
			{number: 3, at: 5 * second, lasts: 1 * second, kind: "rotate"},
		}, 7*second)
		if got.struck["rotate"] != 2 || got.missed["rotate"] != 1 || !strings.Contains(told.String(), "worker 1 is under #1 rotate") {
			t.Errorf("tally %v and %v, want 2 and 1; log %q", got.struck, got.missed, told)
		}
		if took := time.Since(began); took != 7*second {
			t.Errorf("it took %s, want 7s", took)
		}
	})
}
