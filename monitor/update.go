package monitor

import (
	"maps"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

// An update takes in what is seen at one time, decides what follows, and gives it to
// the channels: the survey's observer. The holder of one holds the monitor's lock.
type update struct {
	*Monitor
	at time.Time
}

func (u *update) opened(timeout time.Duration) {
	u.limits.DownAfter = timeout + grace
	u.connectivity.open(u.at)
}

func (u *update) lost(trouble error) {
	u.connectivity.lose(u.at, trouble)
	u.settleBlind()
}

func (u *update) swept() {
	u.connectivity.sweep(u.at)
	u.settleBlind()
}

// listed takes in which tasks there are. Of those that are gone it forgets the ones
// that were removed, or that were to be: what was told of them is over. The others
// have vanished.
func (u *update) listed(list coord.TaskList) {
	u.there = map[string]bool{}
	for _, id := range list.IDs {
		u.there[id] = true
		if u.fleet[id] == nil {
			u.know(id, true) // until it is seen
		}
	}
	for id := range u.known {
		switch {
		case u.there[id]:
		case list.Removed.Has(id):
			u.know(id, false)
		default:
			u.vanished(id)
		}
	}
	maps.DeleteFunc(u.fleet, func(id string, _ *memory) bool { return !u.there[id] && !u.known[id] })
	for _, id := range u.ledger.tasks() {
		if u.fleet[id] == nil && !u.there[id] {
			u.settle(id, nil, 0)
		}
	}
}

// know remembers a task, or forgets it.
func (u *update) know(id string, known bool) {
	if u.known[id] == known {
		return
	}
	if known {
		u.known[id] = true
	} else {
		delete(u.known, id)
	}
	u.remember()
}

// vanished takes in that a known task is gone. It may be known from an earlier
// process only.
func (u *update) vanished(id string) {
	now := u.connectivity.now(u.at)
	m := u.fleet[id]
	if m == nil {
		m = &memory{since: now, moved: now, advanced: now, firing: u.ledger.of(id)}
		m.last.ID = id
		u.fleet[id] = m
	}
	if !m.last.Vanished {
		m.vanish(now)
		u.evaluate(id, m, now)
	}
}

// saw takes in a look at a task. One that is not listed is gone meanwhile, and one
// that had vanished begins anew.
func (u *update) saw(o Observation) {
	if !u.there[o.ID] {
		return
	}
	u.know(o.ID, o.Desired != zkpaths.Removed)
	before := u.fleet[o.ID]
	if before != nil && before.last.Vanished {
		before = nil
	}
	said := u.ledger.of(o.ID)
	m, changes := decide(before, said, o, u.connectivity.now(u.at), u.limits)
	u.fleet[o.ID] = &m
	for _, c := range changes {
		u.send(newChangeAlert(o.ID, c, u.at))
	}
	if m.firing != said {
		u.settle(o.ID, &m, m.firing)
	}
}

// checkpoint takes in a task's newest checkpoint.
func (u *update) checkpoint(id string, last zkpaths.LastCommit) {
	m := u.fleet[id]
	if m == nil {
		return
	}
	earlier := m.last
	m.last.setCheckpoint(last)
	now := u.connectivity.now(u.at)
	m.note(&earlier, now)
	u.evaluate(id, m, now)
}

func (u *update) evaluate(id string, m *memory, now time.Time) {
	said := m.firing
	if m.evaluate(now, u.limits); m.firing != said {
		u.settle(id, m, m.firing)
	}
}

// tick does what only time brings: conditions that have lasted, repeats.
func (u *update) tick() {
	u.connectivity.check(u.at)
	u.settleBlind()
	if u.connectivity.clear() {
		now := u.connectivity.now(u.at)
		for id, m := range u.fleet {
			u.evaluate(id, m, now)
		}
	}
	for _, k := range u.ledger.due(u.at, u.cfg.RepeatInterval) {
		u.repeat(k)
	}
}

// repeat tells again what still fires, in its present words. Of tasks nothing is
// said while blind.
func (u *update) repeat(k key) {
	if k.task == "" {
		u.send(u.ledger.repeat(k, nil, u.at))
		return
	}
	m, seen := u.fleet[k.task]
	c, known := indexOf(k.name)
	if seen && known && u.connectivity.clear() {
		words := newConditionAlert(conditions[c], m, u.at, u.limits).Annotations
		u.send(u.ledger.repeat(k, words, u.at))
	}
}

// settle tells what has begun to fire of a task, and what is over. m is nil for a
// task that is gone.
func (u *update) settle(id string, m *memory, firing conditionSet) {
	for c, condition := range conditions {
		k := key{id, condition.name}
		if !firing.has(c) {
			u.send(u.ledger.resolve(k, u.at))
		} else if _, told := u.ledger[k]; !told {
			u.send(u.ledger.fire(newConditionAlert(condition, m, u.at, u.limits), u.at))
		}
	}
}

// settleBlind tells when the monitor becomes blind, and when it sees again: once all
// tasks were seen.
func (u *update) settleBlind() {
	switch {
	case u.connectivity.blind(u.at):
		u.send(u.ledger.fire(newBlindAlert(u.connectivity.trouble.Error(), u.at), u.at))
	case u.connectivity.clear():
		u.send(u.ledger.resolve(key{"", blind}, u.at))
	}
}

// send gives an alert to all channels; nil is none.
func (u *update) send(a *Alert) {
	if a == nil {
		return
	}
	for _, c := range u.channels {
		c.offer(a)
	}
	if !a.once() {
		u.remember()
	}
}

// remember has the state file written.
func (u *update) remember() {
	select {
	case u.changed <- struct{}{}:
	default:
	}
}
