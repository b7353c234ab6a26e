package main

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestScheduleIsRepeatable(t *testing.T) {
	const length = 3 * time.Minute
	for seed := range uint64(20) {
		first := schedule(seed, length)
		if again := schedule(seed, length); !reflect.DeepEqual(first, again) {
			t.Errorf("seed %d gives another schedule the second time", seed)
		}
		if reflect.DeepEqual(first, schedule(seed+1, length)) {
			t.Errorf("seeds %d and %d give the same schedule", seed, seed+1)
		}
	}
}

// The schedule of a seed must not change from one day to the next: a seed that a run has printed stands for its faults.
func TestScheduleOfASeed(t *testing.T) {
	var got []string
	for _, s := range schedule(7, time.Minute)[:4] {
		got = append(got, s.String())
	}
	want := []string{
		"#1   at   3.00s  rotate              mariadb",
		"#2   at   5.48s  disk-full           orders, until 11.45s",
		"#3   at   7.52s  worker-kill         primary of orders, until 10.53s",
		"#4   at  10.02s  source-delay        stock-small, by 98ms, until 11.16s",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the schedule of seed 7 begins with\n%q, want\n%q; if kinds have changed on purpose, so does this", got, want)
	}
}

func TestSchedule(t *testing.T) {
	for seed := range uint64(50) {
		for _, length := range []time.Duration{3 * time.Minute, time.Hour} {
			met := map[string]bool{}
			last := time.Duration(0)
			for n, s := range schedule(seed, length) {
				k := kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.name == s.kind })]
				switch {
				case s.number != n+1, s.at < last, s.at < quiet, s.until() > length-k.early:
					t.Errorf("seed %d: %s: out of order, or not healed within %s", seed, s, length)
				case s.lasts < k.min || s.lasts > k.max, s.degree > k.degree, (s.degree > 0) != (k.degree > 0):
					t.Errorf("seed %d: %s: not as its kind is: %+v", seed, s, k)
				case !slices.Contains(k.targets, s.target):
					t.Errorf("seed %d: %s: no target of its kind", seed, s)
				}
				last, met[s.kind] = s.at, true
			}
			for _, k := range kinds {
				if !met[k.name] {
					t.Errorf("seed %d: nothing strikes by %s within %s", seed, k.name, length)
				}
			}
		}
	}
}

func TestEveryKindIsPlanned(t *testing.T) {
	for _, k := range kinds {
		if planners[k.name] == nil || len(k.targets) == 0 || k.cards == 0 {
			t.Errorf("nothing plans %s, or it has no targets or cards", k.name)
		}
	}
	if len(planners) != len(kinds) {
		t.Errorf("%d planners for %d kinds", len(planners), len(kinds))
	}
}
