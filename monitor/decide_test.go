package monitor

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"binkeeper/zkpaths"
)

// told writes alerts as "name status", changes as "name from>to".
func told(alerts []alert) []string {
	var lines []string
	for _, a := range alerts {
		if a.severity == info {
			lines = append(lines, fmt.Sprintf("%s %s>%s", a.name, a.from, a.to))
		} else {
			lines = append(lines, a.name+" "+a.status())
		}
	}
	return lines
}

func TestDecide(t *testing.T) {
	served := observation{desired: zkpaths.Running, state: zkpaths.StateRunning, instances: 2, primary: "1", term: 3}
	with := func(o observation, change func(*observation)) *observation { change(&o); return &o }
	down := with(served, func(o *observation) { o.instances, o.primary = 0, "" })
	lone := with(served, func(o *observation) { o.instances = 1 })
	blocked := with(served, func(o *observation) { o.state, o.reason = zkpaths.StateBlocked, zkpaths.BlockedPurged })
	other := with(served, func(o *observation) { o.primary, o.term = "2", 4 })
	paused := with(served, func(o *observation) { o.desired, o.instances, o.primary = zkpaths.Paused, 0, "" })
	unreadable := with(*down, func(o *observation) { o.desired, o.state = "", "" })

	type step struct {
		after time.Duration // since the step before
		seen  *observation  // nil: the task is gone
		want  []string
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"nothing to tell at first sight", []step{{0, &served, nil}, {0, &served, nil}}},
		{"down fires once and resolves", []step{
			{0, &served, nil},
			{0, down, []string{"BinkeeperPrimaryChanged 1>", "BinkeeperTaskDown firing"}},
			{time.Hour, down, nil},
			{0, other, []string{"BinkeeperPrimaryChanged >2", "BinkeeperTaskDown resolved"}},
		}},
		{"down at first sight", []step{{0, down, []string{"BinkeeperTaskDown firing"}}}},
		{"paused is not down", []step{{0, paused, nil}}},
		{"down stays while the spec is unreadable", []step{
			{0, down, []string{"BinkeeperTaskDown firing"}},
			{0, unreadable, []string{"BinkeeperStatusChanged running>"}},
		}},
		{"blocked", []step{
			{0, &served, nil},
			{0, blocked, []string{"BinkeeperStatusChanged running>blocked", "BinkeeperTaskBlocked firing"}},
			{0, &served, []string{"BinkeeperStatusChanged blocked>running", "BinkeeperTaskBlocked resolved"}},
		}},
		{"no standby for a minute", []step{
			{0, lone, nil},
			{loneFor - 1, lone, nil},
			{1, lone, []string{"BinkeeperNoStandby firing"}},
			{0, &served, []string{"BinkeeperNoStandby resolved"}},
		}},
		{"a restart is no lack of a standby", []step{
			{0, lone, nil}, {loneFor / 2, &served, nil}, {loneFor / 2, lone, nil}, {loneFor - 1, lone, nil},
		}},
		{"takeover", []step{{0, &served, nil}, {0, other, []string{"BinkeeperPrimaryChanged 1>2"}}}},
		{"a task that is gone", []step{
			{0, down, []string{"BinkeeperTaskDown firing"}},
			{0, nil, []string{"BinkeeperStatusChanged running>", "BinkeeperTaskDown resolved"}},
			{0, nil, nil},
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kept, now := fleet{}, time.Now()
			for i, step := range test.steps {
				now = now.Add(step.after)
				seen := map[string]observation{}
				if step.seen != nil {
					seen["orders"] = *step.seen
				}
				var alerts []alert
				kept, alerts = decideAll(kept, seen, now)
				if got := told(alerts); !slices.Equal(got, step.want) {
					t.Errorf("step %d: told %q, want %q", i+1, got, step.want)
				}
			}
		})
	}
}
