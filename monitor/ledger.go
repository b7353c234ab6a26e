package monitor

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A key is what an alert is known by.
type key struct{ task, name string }

func keyOf(a *Alert) key { return key{a.Task(), a.Name()} }

// An entry is an alert that fires, as it was last told.
type entry struct {
	Alert *Alert    `json:"alert"`
	Said  time.Time `json:"said"` // when it was last told
}

// A ledger is what has been told and is not over. It decides what there is to tell.
type ledger map[key]entry

// fire enters a, and returns it when that is news. What is known keeps the time
// at which it began.
func (l ledger) fire(a *Alert, now time.Time) *Alert {
	if _, known := l[keyOf(a)]; known {
		return nil
	}
	l[keyOf(a)] = entry{a, now}
	return a
}

// resolve strikes an alert out, and returns it as resolved; nil when it was not
// told.
func (l ledger) resolve(k key, now time.Time) *Alert {
	e, known := l[k]
	if !known {
		return nil
	}
	delete(l, k)
	return e.Alert.resolved(now)
}

// due gives the keys of the alerts to repeat, by task and name.
func (l ledger) due(now time.Time, interval time.Duration) []key {
	var keys []key
	for k, e := range l {
		if now.Sub(e.Said) >= interval {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, compareKeys)
	return keys
}

// repeat enters that a known alert is told again, in its present words.
func (l ledger) repeat(k key, annotations map[string]string, now time.Time) *Alert {
	again := *l[k].Alert
	if annotations != nil {
		again.Annotations = annotations
	}
	l[k] = entry{&again, now}
	return &again
}

// of says which conditions of a task the ledger has.
func (l ledger) of(task string) conditionSet {
	var said conditionSet
	for c, condition := range conditions {
		if _, known := l[key{task, condition.name}]; known {
			said = said.with(c)
		}
	}
	return said
}

// tasks gives the ids of all tasks that the ledger has, sorted.
func (l ledger) tasks() []string {
	ids := map[string]bool{}
	for k := range l {
		if k.task != "" {
			ids[k.task] = true
		}
	}
	return slices.Sorted(maps.Keys(ids))
}

// entries gives all entries, by task and name.
func (l ledger) entries() []entry {
	var all []entry
	for _, k := range slices.SortedFunc(maps.Keys(l), compareKeys) {
		all = append(all, l[k])
	}
	return all
}

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.task, b.task), cmp.Compare(a.name, b.name))
}
