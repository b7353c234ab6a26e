package monitor

import (
	"cmp"
	"slices"
	"time"

	"binkeeper/zkpaths"
)

// follow takes in what an observation says has happened since the last one: each
// change of state and of primary, in order, and how often the primary changed.
func (m *memory) follow(o Observation, now time.Time) []change {
	if !o.Speaks {
		return nil
	}
	fresh, unseen := m.unread(o)
	var changes []change
	primary := func(to string, term int64) {
		if to != "" && to != m.primary {
			changes = append(changes, change{alertname: primaryChanged, from: m.primary, to: to, term: term, serverID: to})
			m.primary = to
		}
	}
	claims := unseen
	for i, t := range fresh {
		c := change{alertname: statusChanged, from: t.From, to: t.To, term: t.Term, serverID: t.ServerID, reason: t.Reason}
		if i == 0 {
			c.unseen = unseen
		}
		changes = append(changes, c)
		if t.To == zkpaths.StateStarting { // as every term begins
			claims++
			primary(t.ServerID, t.Term)
		}
	}
	primary(o.Primary, o.StatusTerm)
	// A term that a status skips was no tenure: a claim may jump over many.
	if grown := o.StatusTerm - m.term; grown > 0 {
		for range min(grown, max(claims, 1), maxTakeovers) {
			m.takeovers = append(m.takeovers, now)
		}
	}
	m.takeovers = m.takeovers[max(0, len(m.takeovers)-maxTakeovers):]
	m.term, m.newest, m.state = o.StatusTerm, newestOf(o), cmp.Or(o.State, m.state)
	return changes
}

// maxTakeovers bounds what is remembered of a task whose primary keeps changing.
const maxTakeovers = 64

// unread gives the transitions of a status that are new to m, oldest first, and
// how many before them the status does not hold any more. One that keeps no record
// has a transition from the state that was seen last.
func (m *memory) unread(o Observation) (fresh []zkpaths.Transition, unseen int64) {
	ring := o.Transitions
	switch grown := o.Changes - m.last.Changes; {
	case grown > 0:
		fresh = ring[max(0, len(ring)-int(min(grown, int64(len(ring))))):]
		unseen = grown - int64(len(fresh))
	case len(ring) > 0 && ring[len(ring)-1] != m.newest:
		// The count says nothing: the status was made anew, or does not count.
		fresh = ring[1+lastIndex(ring, m.newest):]
	}
	if len(fresh) == 0 && (unseen > 0 || o.State != m.state && o.State != "" && m.state != "") {
		fresh = []zkpaths.Transition{{From: m.state, To: o.State, Term: o.StatusTerm, ServerID: o.Primary, Reason: o.Reason}}
		unseen = max(0, unseen-1)
	}
	return fresh, unseen
}

func lastIndex(ring []zkpaths.Transition, t zkpaths.Transition) int {
	for i, other := range slices.Backward(ring) {
		if other == t {
			return i
		}
	}
	return -1
}

// newestOf is the last transition of an observation; the zero one without a record.
func newestOf(o Observation) zkpaths.Transition {
	if n := len(o.Transitions); n > 0 {
		return o.Transitions[n-1]
	}
	return zkpaths.Transition{}
}
