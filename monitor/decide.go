package monitor

import (
	"time"

	"binkeeper/zkpaths"
)

// Limits are how long something may last before it is worth an alert.
type Limits struct {
	DownAfter     time.Duration // without any instance: longer than a takeover or a restart takes
	DurableMaxAge time.Duration // since durable_time was seen to advance
	StallAfter    time.Duration // with something to archive, since anything became durable
}

// memory is what is kept of a task from one observation to the next. Its times are
// the monitor's own: since when it has seen what is there now, zero for what is
// not.
type memory struct {
	last  Observation // without transitions
	since time.Time   // of the first observation

	down, alone, blocked, risk, behind time.Time
	moved                              time.Time // when anything last became durable
	advanced                           time.Time // when durable_time last advanced

	state     string // the last one that was read
	primary   string // the last one there was
	term      int64
	newest    zkpaths.Transition // the last one that was told
	takeovers []time.Time        // in the last hour
	flapped   bool               // as an earlier process has said
	firing    conditionSet
}

// A change is something that has happened once.
type change struct {
	alertname string
	from, to  string
	term      int64
	serverID  string
	reason    string
	unseen    int64 // how many transitions before it no look has seen
}

// decide says what follows from an observation of a task: what to remember, which
// conditions fire, and what has changed. before is nil for a task that is seen for
// the first time, which has not changed; said are the conditions that an earlier
// process has told of it, and which go on until they are seen to be over.
func decide(before *memory, said conditionSet, o Observation, now time.Time, limits Limits) (memory, []change) {
	if before == nil {
		m := memory{since: now, moved: now, advanced: now, firing: said, state: o.State, primary: o.Primary, term: o.StatusTerm}
		m.newest, m.flapped = newestOf(o), saidFlapping(said)
		m.keep(o)
		m.note(nil, now)
		m.evaluate(now, limits)
		return m, nil
	}
	m := *before
	o = readable(o, before.last)
	changes := m.follow(o, now)
	m.keep(o)
	m.note(&before.last, now)
	m.evaluate(now, limits)
	return m, changes
}

func saidFlapping(said conditionSet) bool {
	c, _ := indexOf(flapping)
	return said.has(c)
}

// readable fills what cannot be read now with what was last read: that a payload
// is unreadable is no word of the operator's, and no change of state.
func readable(o, last Observation) Observation {
	if o.Desired == "" {
		o.Desired, o.Source, o.Archive = last.Desired, last.Source, last.Archive
	}
	if !o.Speaks {
		o.StatusTerm, o.Changes, o.StatusFile, o.StatusEnd = last.StatusTerm, last.Changes, last.StatusFile, last.StatusEnd
		o.DurableTime, o.BehindBytes, o.PurgeMargin = last.DurableTime, last.BehindBytes, last.PurgeMargin
	}
	return o
}

func (m *memory) keep(o Observation) {
	o.Transitions = nil
	m.last = o
}

// note keeps the times of m up to date with its last observation. earlier is the
// one before, nil for none.
func (m *memory) note(earlier *Observation, now time.Time) {
	o := &m.last
	running := o.Desired == zkpaths.Running
	there := o.Desired != zkpaths.Removed
	mark(&m.down, o.Vanished || running && o.Instances == 0, now)
	mark(&m.alone, running && o.Instances == 1, now)
	mark(&m.blocked, there && (o.Trouble != nil || o.State == zkpaths.StateBlocked), now)
	mark(&m.risk, there && o.PurgeMargin.Known && o.PurgeMargin.Files < safeMargin, now)
	mark(&m.behind, running && o.Instances > 0 && o.BehindBytes > 0 && o.State != zkpaths.StateBlocked, now)
	if earlier == nil {
		return
	}
	if earlier.Desired != o.Desired || o.DurableTime.After(earlier.DurableTime.Time) {
		m.advanced = now
	}
	if m.advanced == now || ended(*earlier) != ended(*o) {
		m.moved = now
	}
}

// mark keeps in t since when something is so.
func mark(t *time.Time, is bool, now time.Time) {
	switch {
	case !is:
		*t = time.Time{}
	case t.IsZero():
		*t = now
	}
}

// An end is where a task's archive ends, by its checkpoint and by its status.
type end struct {
	timeline   int64
	file, said string
	position   int64
	saidEnd    int64
}

func ended(o Observation) end {
	return end{o.Timeline, o.File, o.StatusFile, o.Position, o.StatusEnd}
}

// vanish takes in that the task is gone without having been removed.
func (m *memory) vanish(now time.Time) {
	earlier := m.last
	m.keep(earlier.vanished())
	m.note(&earlier, now)
}

// evaluate says which conditions fire. One that was said before m's first observation
// goes on for as long as everything has been so since then. Of a task that has
// vanished nothing more is known than that it is down: its other conditions stay as
// they are.
func (m *memory) evaluate(now time.Time, limits Limits) {
	m.takeovers = recent(m.takeovers, now)
	var firing conditionSet
	for c, condition := range conditions {
		if m.last.Vanished && condition.name != taskDown {
			if m.firing.has(c) {
				firing = firing.with(c)
			}
			continue
		}
		begun := condition.begun(m, now)
		if m.last.Desired == zkpaths.Removed || begun.IsZero() {
			continue
		}
		if now.Sub(begun) >= condition.lasts(limits) || m.firing.has(c) && !begun.After(m.since) {
			firing = firing.with(c)
		}
	}
	m.firing = firing
}

// recent drops what is older than the window of Flapping.
func recent(times []time.Time, now time.Time) []time.Time {
	for len(times) > 0 && now.Sub(times[0]) >= flappingWindow {
		times = times[1:]
	}
	return times
}
