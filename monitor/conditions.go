package monitor

import (
	"fmt"
	"time"

	"binkeeper/zkpaths"
)

// The alerts that last, by their names: contract and docs/alerts.md.
const (
	taskDown    = "BinkeeperTaskDown"
	taskBlocked = "BinkeeperTaskBlocked"
	stalled     = "BinkeeperStalled"
	notDurable  = "BinkeeperNotDurable"
	noStandby   = "BinkeeperNoStandby"
	purgeRisk   = "BinkeeperPurgeRisk"
	flapping    = "BinkeeperFlapping"
	blind       = "BinkeeperBlind"

	statusChanged  = "BinkeeperStatusChanged"
	primaryChanged = "BinkeeperPrimaryChanged"
	testAlert      = "BinkeeperTest" // of `binkeeper alert test`
)

// The severities.
const (
	Critical = "critical"
	Warning  = "warning"
	Info     = "info"
)

const (
	// loneFor is how long a task may have one instance only: a restart is no lack
	// of a standby.
	loneFor = time.Minute
	// safeMargin is how many closed files should be left on the source before it
	// purges what is needed next.
	safeMargin = 3
	// riskFor outlasts two statuses, which come every 10 s: a source that has just
	// begun a new file is a file ahead for a moment.
	riskFor = 25 * time.Second
	// More than steadyTakeovers changes of primary in flappingWindow are too many.
	steadyTakeovers = 5
	flappingWindow  = time.Hour
)

// A condition is an alert that fires for as long as something is so.
type condition struct {
	name, severity string
	// begun is since when it is so; zero when it is not.
	begun func(m *memory, now time.Time) time.Time
	// lasts is how long it has to be so before it fires.
	lasts   func(Limits) time.Duration
	summary func(o *Observation) string
	// description says what it means for the operator, in full sentences.
	description func(m *memory, limits Limits) string
}

// conditionSet is a set of indices into conditions.
type conditionSet uint16

func (s conditionSet) has(c int) bool          { return s&(1<<c) != 0 }
func (s conditionSet) with(c int) conditionSet { return s | 1<<c }
func after(d time.Duration) func(Limits) time.Duration {
	return func(Limits) time.Duration { return d }
}

// conditions are all conditions of a task.
var conditions = []condition{
	{taskDown, Critical,
		func(m *memory, _ time.Time) time.Time { return m.down },
		func(l Limits) time.Duration { return l.DownAfter },
		func(o *Observation) string {
			if o.Vanished {
				return o.ID + " has vanished from ZooKeeper, and nobody archives it"
			}
			return "Nobody archives " + o.ID
		},
		func(m *memory, l Limits) string {
			if o := &m.last; o.Vanished {
				return fmt.Sprintf("Task %s has vanished: its znodes are gone, and nobody has removed it. Nothing of its binlog is archived. Next step: %s", o.ID, o.Hint)
			}
			return fmt.Sprintf("No worker stands in the line of task %s: nothing of its binlog is archived.", m.last.ID)
		}},
	{taskBlocked, Critical,
		func(m *memory, _ time.Time) time.Time { return m.blocked },
		after(0),
		func(o *Observation) string { return o.ID + " is blocked and needs an operator" },
		func(m *memory, _ Limits) string { return whyBlocked(&m.last) }},
	{stalled, Critical,
		func(m *memory, _ time.Time) time.Time { return stalledSince(m) },
		func(l Limits) time.Duration { return l.StallAfter },
		func(o *Observation) string { return o.ID + " does not move" },
		func(m *memory, l Limits) string {
			return fmt.Sprintf("The source of task %s is %d bytes ahead of the archive, and nothing has become durable for %s.%s", m.last.ID, m.last.BehindBytes, l.StallAfter, because(&m.last))
		}},
	{notDurable, Warning,
		func(m *memory, _ time.Time) time.Time { return durableSince(m) },
		func(l Limits) time.Duration { return l.DurableMaxAge },
		func(o *Observation) string { return "The archive of " + o.ID + " is old" },
		func(m *memory, l Limits) string {
			return fmt.Sprintf("durable_time of task %s, %s, has not advanced for %s.%s", m.last.ID, moment(&m.last), l.DurableMaxAge, because(&m.last))
		}},
	{noStandby, Warning,
		func(m *memory, _ time.Time) time.Time { return m.alone },
		after(loneFor),
		func(o *Observation) string { return o.ID + " has one worker only" },
		func(m *memory, _ Limits) string {
			return fmt.Sprintf("Should the only worker of task %s die, nobody takes over.", m.last.ID)
		}},
	{purgeRisk, Critical,
		func(m *memory, _ time.Time) time.Time { return m.risk },
		after(riskFor),
		func(o *Observation) string {
			return "The source of " + o.ID + " is about to purge what is not archived"
		},
		func(m *memory, _ Limits) string {
			return fmt.Sprintf("The source of task %s has %d closed binlog files left to purge before the one that is needed next, %s.", m.last.ID, m.last.PurgeMargin.Files, m.last.StatusFile)
		}},
	{flapping, Warning,
		flappingSince,
		after(0),
		func(o *Observation) string { return "The primary of " + o.ID + " keeps changing" },
		func(m *memory, _ Limits) string {
			return fmt.Sprintf("Task %s has had %d changes of primary within an hour.", m.last.ID, len(m.takeovers))
		}},
}

// indexOf finds a condition by its name; false for none.
func indexOf(name string) (int, bool) {
	for c, condition := range conditions {
		if condition.name == name {
			return c, true
		}
	}
	return 0, false
}

// stalledSince is since when there is something to archive and nothing of it has
// become durable.
func stalledSince(m *memory) time.Time {
	if m.behind.IsZero() || m.moved.Before(m.behind) {
		return m.behind
	}
	return m.moved
}

// durableSince is since when durable_time has stood still, while it should not.
func durableSince(m *memory) time.Time {
	if m.last.Desired != zkpaths.Running {
		return time.Time{}
	}
	return m.advanced
}

// flappingSince is when there was one change of primary too many. What an earlier
// process has seen is over after a whole window.
func flappingSince(m *memory, now time.Time) time.Time {
	if m.flapped && now.Sub(m.since) < flappingWindow {
		return m.since
	}
	if len(m.takeovers) <= steadyTakeovers {
		return time.Time{}
	}
	return m.takeovers[steadyTakeovers]
}

func whyBlocked(o *Observation) string {
	why, hint := o.Reason, o.Hint
	if o.Trouble != nil {
		why, hint = o.Trouble.Error(), hintOf(o.Trouble)
	} else if o.Detail != "" {
		why += ": " + o.Detail
	}
	text := fmt.Sprintf("Task %s cannot go on safely by itself: %s.", o.ID, why)
	if hint != "" {
		text += " Next step: " + hint
	}
	return text
}

// because is the status' reason as a sentence to add, or "".
func because(o *Observation) string {
	switch {
	case o.Reason == "":
		return ""
	case o.Detail == "":
		return fmt.Sprintf(" State %s: %s.", o.State, o.Reason)
	}
	return fmt.Sprintf(" State %s: %s: %s.", o.State, o.Reason, o.Detail)
}

func moment(o *Observation) string {
	if o.DurableTime.IsZero() {
		return "nothing yet"
	}
	return o.DurableTime.UTC().Format(time.RFC3339)
}
