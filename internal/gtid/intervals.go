package gtid

import "slices"

// interval is a run of transaction numbers, both ends included.
type interval struct{ first, last int64 }

// intervals are disjoint, in order, and never adjacent.
type intervals []interval

// add joins run with what it touches. A run at or after the end of the list, the
// usual case, is added in constant time.
func (list *intervals) add(run interval) {
	old := *list
	if n := len(old); n == 0 || run.first > old[n-1].last+1 {
		*list = append(old, run)
		return
	} else if run.first >= old[n-1].first {
		old[n-1].last = max(old[n-1].last, run.last)
		return
	}
	// from is the first interval that run touches, to the first beyond it.
	from, _ := slices.BinarySearchFunc(old, run.first-1, func(it interval, first int64) int {
		if it.last < first {
			return -1
		}
		return 1
	})
	to := from
	for to < len(old) && old[to].first <= run.last+1 {
		run.first, run.last = min(run.first, old[to].first), max(run.last, old[to].last)
		to++
	}
	*list = slices.Replace(old, from, to, run)
}

// contains reports whether every number of other is in list.
func (list intervals) contains(other intervals) bool {
	i := 0
	for _, run := range other {
		for i < len(list) && list[i].last < run.first {
			i++
		}
		if i == len(list) || run.first < list[i].first || run.last > list[i].last {
			return false
		}
	}
	return true
}

// minus returns the numbers of list that are not in other.
func (list intervals) minus(other intervals) intervals {
	var rest intervals
	i := 0
	for _, run := range list {
		for i < len(other) && other[i].last < run.first {
			i++
		}
		for j := i; j < len(other) && other[j].first <= run.last && run.first <= run.last; j++ {
			if run.first < other[j].first {
				rest = append(rest, interval{run.first, other[j].first - 1})
			}
			run.first = other[j].last + 1
		}
		if run.first <= run.last {
			rest = append(rest, run)
		}
	}
	return rest
}
