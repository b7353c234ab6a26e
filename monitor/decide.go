package monitor

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/zkpaths"
)

const (
	critical = "critical"
	warning  = "warning"
	info     = "info"

	downAlert           = "BinkeeperTaskDown"
	blockedAlert        = "BinkeeperTaskBlocked"
	noStandbyAlert      = "BinkeeperNoStandby"
	blindAlert          = "BinkeeperBlind"
	statusChangedAlert  = "BinkeeperStatusChanged"
	primaryChangedAlert = "BinkeeperPrimaryChanged"

	// loneFor is how long a task may have one instance only before that is worth an alert: a restart is none.
	loneFor = time.Minute
)

// observation is a task at one moment.
type observation struct {
	desired   string
	state     string // "" when something of the task is unreadable; reason says what
	instances int
	primary   string // server id, "" without one
	term      int64
	reason    string
	hint      string
}

// memory is what is kept of a task from one observation to the next.
type memory struct {
	last   observation
	lone   time.Time       // since when it has had one instance only; zero otherwise
	firing map[string]bool // by alert name
}

// fleet is what is kept of all tasks, by id.
type fleet map[string]memory

// alert is one thing to tell: the firing or resolving of a condition, or a change.
type alert struct {
	name, task, severity string
	resolved             bool
	summary              string
	from, to             string // of a change
	term                 int64
	serverID             string // the primary's
}

func (a alert) status() string {
	if a.resolved {
		return "resolved"
	}
	return "firing"
}

func (a alert) level() zerolog.Level {
	switch {
	case a.resolved || a.severity == info:
		return zerolog.InfoLevel
	case a.severity == warning:
		return zerolog.WarnLevel
	}
	return zerolog.ErrorLevel
}

// conditions are the alerts that last: each fires while it holds.
var conditions = []struct {
	name, severity string
	holds          func(m memory, now time.Time) bool
	summary        func(o observation) string
}{
	{downAlert, critical,
		func(m memory, _ time.Time) bool { return m.last.desired == zkpaths.Running && m.last.instances == 0 },
		func(observation) string { return "no worker serves it" }},
	{blockedAlert, critical,
		func(m memory, _ time.Time) bool { return m.last.state == zkpaths.StateBlocked && m.last.instances > 0 },
		func(o observation) string { return fmt.Sprintf("it needs an operator: %s: %s", o.reason, o.hint) }},
	{noStandbyAlert, warning,
		func(m memory, now time.Time) bool { return !m.lone.IsZero() && now.Sub(m.lone) >= loneFor },
		func(observation) string { return "one worker only: nobody would take over" }},
}

// decideAll decides about every task that was seen or is remembered. A task that is gone resolves its alerts.
func decideAll(before fleet, seen map[string]observation, now time.Time) (fleet, []alert) {
	after := fleet{}
	var alerts []alert
	ids := maps.Clone(seen)
	for id := range before {
		if _, ok := ids[id]; !ok {
			ids[id] = observation{desired: zkpaths.Removed, reason: "the task is gone"}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		memory, known := before[id]
		next, told := decide(id, memory, known, ids[id], now)
		if _, there := seen[id]; there {
			after[id] = next
		}
		alerts = append(alerts, told...)
	}
	return after, alerts
}

// decide says what follows from an observation of a task, and what to remember. A task that is seen for the first
// time has not changed.
func decide(task string, before memory, known bool, seen observation, now time.Time) (memory, []alert) {
	if seen.desired == "" { // unreadable, which is no word of the operator's
		seen.desired = before.last.desired
	}
	after := memory{last: seen, firing: map[string]bool{}}
	if seen.instances == 1 && seen.desired == zkpaths.Running {
		after.lone = before.lone
		if after.lone.IsZero() {
			after.lone = now
		}
	}
	tell := func(a alert) alert {
		a.task, a.term, a.serverID = task, seen.term, seen.primary
		return a
	}
	var alerts []alert
	if known && before.last.state != seen.state {
		alerts = append(alerts, tell(alert{name: statusChangedAlert, severity: info, from: before.last.state, to: seen.state, summary: seen.reason}))
	}
	if known && before.last.primary != seen.primary {
		alerts = append(alerts, tell(alert{name: primaryChangedAlert, severity: info, from: before.last.primary, to: seen.primary}))
	}
	for _, c := range conditions {
		holds := c.holds(after, now)
		if holds {
			after.firing[c.name] = true
		}
		if holds != before.firing[c.name] {
			alerts = append(alerts, tell(alert{name: c.name, severity: c.severity, resolved: !holds, summary: c.summary(seen)}))
		}
	}
	return after, alerts
}
