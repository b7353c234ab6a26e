package monitor

import (
	"time"

	"binkeeper/zkpaths"
)

// A Finding is one condition that a single look at a task shows.
type Finding struct {
	Task     string `json:"task"`
	Alert    string `json:"alertname"`
	Severity string `json:"severity"`
	Summary  string `json:"summary"`
	Detail   string `json:"description"`
}

// DurableAge is how far durable_time of a task is behind now; 0 when nothing is
// durable yet, and for a task that is not to run.
func DurableAge(o Observation, now time.Time) time.Duration {
	if o.DurableTime.IsZero() || o.Desired != zkpaths.Running {
		return 0
	}
	return max(0, now.Sub(o.DurableTime.Time))
}

// Check judges one look at a task by the conditions of the alerts. A single look
// has no history: what a monitor would give some time counts at once, durable_time
// is compared with now, which is this machine's wall clock, and whether a task
// stalls or its primary keeps changing cannot be seen. A task of which nothing is
// durable yet counts as not durable.
func Check(o Observation, now time.Time, durableMaxAge time.Duration) []Finding {
	limits := Limits{DurableMaxAge: durableMaxAge, StallAfter: longAgo}
	m := memory{since: now.Add(-longAgo), advanced: o.DurableTime.Time, moved: now}
	if m.advanced.IsZero() { // nothing is durable yet
		m.advanced = m.since
	}
	m.keep(o)
	m.note(nil, now.Add(-longAgo))
	m.behind = time.Time{}
	m.evaluate(now, limits)
	var findings []Finding
	for c, condition := range conditions {
		if m.firing.has(c) {
			findings = append(findings, Finding{o.ID, condition.name, condition.severity, condition.summary(&m.last), condition.description(&m, limits)})
		}
	}
	return findings
}

// longAgo is longer than any condition has to last, but for those that a single
// look cannot see.
const longAgo = 24 * time.Hour
