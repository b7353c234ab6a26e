package monitor

import (
	"maps"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

// A board takes in what is seen at one time, decides what follows, and gives it to
// the channels: the monitor's witness. The holder of one holds the monitor's lock.
type board struct {
	*Monitor
	at time.Time
}

func (b *board) opened(timeout time.Duration) {
	b.limits.DownAfter = timeout + grace
	b.sight.open(b.at)
}

func (b *board) lost(trouble error) {
	b.sight.lose(b.at, trouble)
	b.judgeSight()
}

func (b *board) swept() {
	b.sight.sweep(b.at)
	b.judgeSight()
}

// listed takes in which tasks there are. Of those that are gone it forgets the ones
// that were removed, or that were to be: what was told of them is over. The others
// have vanished.
func (b *board) listed(list coord.TaskList) {
	b.there = map[string]bool{}
	for _, id := range list.IDs {
		b.there[id] = true
		if b.fleet[id] == nil {
			b.know(id, true) // until it is seen
		}
	}
	for id := range b.known {
		switch {
		case b.there[id]:
		case list.Removed.Has(id):
			b.know(id, false)
		default:
			b.vanished(id)
		}
	}
	maps.DeleteFunc(b.fleet, func(id string, _ *memory) bool { return !b.there[id] && !b.known[id] })
	for _, id := range b.ledger.tasks() {
		if b.fleet[id] == nil && !b.there[id] {
			b.settle(id, nil, 0)
		}
	}
}

// know remembers a task, or forgets it.
func (b *board) know(id string, known bool) {
	if b.known[id] == known {
		return
	}
	if known {
		b.known[id] = true
	} else {
		delete(b.known, id)
	}
	b.remember()
}

// vanished takes in that a known task is gone. It may be known from an earlier
// process only.
func (b *board) vanished(id string) {
	now := b.sight.now(b.at)
	m := b.fleet[id]
	if m == nil {
		m = &memory{since: now, moved: now, advanced: now, firing: b.ledger.of(id)}
		m.last.ID = id
		b.fleet[id] = m
	}
	if !m.last.Vanished {
		m.vanish(now)
		b.judge(id, m, now)
	}
}

// saw takes in a look at a task. One that is not listed is gone meanwhile, and one
// that had vanished begins anew.
func (b *board) saw(o Observation) {
	if !b.there[o.ID] {
		return
	}
	b.know(o.ID, o.Desired != zkpaths.Removed)
	before := b.fleet[o.ID]
	if before != nil && before.last.Vanished {
		before = nil
	}
	said := b.ledger.of(o.ID)
	m, changes := decide(before, said, o, b.sight.now(b.at), b.limits)
	b.fleet[o.ID] = &m
	for _, c := range changes {
		b.send(newChangeAlert(o.ID, c, b.at))
	}
	if m.firing != said {
		b.settle(o.ID, &m, m.firing)
	}
}

// checkpoint takes in a task's newest checkpoint.
func (b *board) checkpoint(id string, last zkpaths.LastCommit) {
	m := b.fleet[id]
	if m == nil {
		return
	}
	earlier := m.last
	m.last.setCheckpoint(last)
	now := b.sight.now(b.at)
	m.note(&earlier, now)
	b.judge(id, m, now)
}

func (b *board) judge(id string, m *memory, now time.Time) {
	said := m.firing
	if m.judge(now, b.limits); m.firing != said {
		b.settle(id, m, m.firing)
	}
}

// tick does what only time brings: conditions that have lasted, repeats.
func (b *board) tick() {
	b.sight.check(b.at)
	b.judgeSight()
	if b.sight.clear() {
		now := b.sight.now(b.at)
		for id, m := range b.fleet {
			b.judge(id, m, now)
		}
	}
	for _, k := range b.ledger.due(b.at, b.cfg.RepeatInterval) {
		b.repeat(k)
	}
}

// repeat tells again what still fires, in its present words. Of tasks nothing is
// said while blind.
func (b *board) repeat(k key) {
	if k.task == "" {
		b.send(b.ledger.repeat(k, nil, b.at))
		return
	}
	m, seen := b.fleet[k.task]
	c, known := indexOf(k.name)
	if seen && known && b.sight.clear() {
		words := newConditionAlert(conditions[c], m, b.at, b.limits).Annotations
		b.send(b.ledger.repeat(k, words, b.at))
	}
}

// settle tells what has begun to fire of a task, and what is over. m is nil for a
// task that is gone.
func (b *board) settle(id string, m *memory, firing conditionSet) {
	for c, condition := range conditions {
		k := key{id, condition.name}
		if !firing.has(c) {
			b.send(b.ledger.resolve(k, b.at))
		} else if _, told := b.ledger[k]; !told {
			b.send(b.ledger.fire(newConditionAlert(condition, m, b.at, b.limits), b.at))
		}
	}
}

// judgeSight tells when the monitor becomes blind, and when it sees again: once all
// tasks were seen.
func (b *board) judgeSight() {
	switch {
	case b.sight.blind(b.at):
		b.send(b.ledger.fire(newBlindAlert(b.sight.trouble.Error(), b.at), b.at))
	case b.sight.clear():
		b.send(b.ledger.resolve(key{"", blind}, b.at))
	}
}

// send gives an alert to all channels; nil is none.
func (b *board) send(a *Alert) {
	if a == nil {
		return
	}
	for _, c := range b.channels {
		c.offer(a)
	}
	if !a.once() {
		b.remember()
	}
}

// remember has the state file written.
func (b *board) remember() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}
