package main

import (
	"context"
	"errors"
	"io"
	"slices"
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
		{"ended by itself", fault{strike: func(context.Context) error { return &endedError{"zookeeper 1"} }, heal: nothing}, 0, 1, 1, "PROBLEM: #1   at   1.00s  rotate              mysql, until 2.00s []: MISSED: zookeeper 1 has ended by itself"},
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

// A strike that has failed half-way is healed, and one that has missed is not.
func TestFailedStrikesAreHealed(t *testing.T) {
	tests := []struct {
		name        string
		failed      error
		healing     error
		want, wrong int // heals, problems
	}{
		{"half-way", errors.New("the reply is lost"), nil, 1, 0},
		{"half-way, and has met nothing", errors.New("the reply is lost"), missed("nobody there"), 1, 0},
		{"half-way, and cannot be healed", errors.New("the reply is lost"), errors.New("it does not start"), 1, 1},
		{"missed", missed("it is not running"), errors.New("it is running"), 0, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			healed := 0
			r, told := aRig(t, fault{
				strike: func(context.Context) error { return test.failed },
				heal:   func(context.Context) error { healed++; return test.healing },
			})
			err := r.perform(t.Context(), strike{number: 1, kind: "rotate", target: "mysql"})
			if err != test.failed || healed != test.want || r.log.problems() != test.wrong {
				t.Errorf("perform = %v, healed %d times, %d problems, want %v, %d, %d; log %q", err, healed, r.log.problems(), test.failed, test.want, test.wrong, told)
			}
		})
	}
}

func TestNeverStruck(t *testing.T) {
	var strikes []strike
	for kind, n := range map[string]int{"pause": 4, "rotate": 4, "reset": 3, "disk-away": 4} {
		for range n {
			strikes = append(strikes, strike{kind: kind})
		}
	}
	count := &tally{struck: map[string]int{"rotate": 1}, missed: map[string]int{"rotate": 3, "pause": 4, "reset": 3, "disk-away": 4}}
	for disk, want := range map[bool][]string{true: {"disk-away", "pause"}, false: {"pause"}} {
		if got := neverStruck(strikes, count, disk); !slices.Equal(got, want) {
			t.Errorf("with a disk %t: never struck %q, want %q", disk, got, want)
		}
	}
	for _, kind := range needDisk {
		if planners[kind] == nil {
			t.Errorf("%s needs a disk, and is no kind", kind)
		}
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
