package zkpaths

import (
	"slices"
	"time"
)

// maxRemovals is how many removals are kept: at their longest they stay under
// MaxPayload.
const maxRemovals = 256

// ReasonVanished is said of a task that is gone without having been removed.
const ReasonVanished = "vanished"

// VanishedStands is how long a spec that removes a vanished task stands, so that every
// monitor sees it.
const VanishedStands = time.Minute

// HintVanished is the operator's next step for a task that has vanished.
func HintVanished(task string) string {
	return "binkeeper task create " + task + " with the archive that it had goes on where it ended; binkeeper task remove --vanished " + task + " if it is to be gone"
}

// Removals are the tasks that were removed last, in good order: /removed. A worker
// or monitor that remembers a task which is gone finds here whether that was wished.
// An id stands here once, and not while there is a task of that name.
type Removals struct {
	Head
	Tasks []Removal `json:"tasks"` // the oldest first
}

// A Removal is one task that was removed.
type Removal struct {
	Task string `json:"task"`
	At   Time   `json:"at"`
}

// Has reports whether the task was removed.
func (r *Removals) Has(task string) bool {
	return slices.ContainsFunc(r.Tasks, func(t Removal) bool { return t.Task == task })
}

// Add enters the task's removal, and drops the oldest that are too many.
func (r *Removals) Add(task string, now time.Time) {
	r.Drop(task)
	r.Tasks = append(r.Tasks, Removal{task, At(now)})
	r.Tasks = r.Tasks[max(0, len(r.Tasks)-maxRemovals):]
}

// Drop takes the task's removal out.
func (r *Removals) Drop(task string) {
	r.Tasks = slices.DeleteFunc(slices.Clone(r.Tasks), func(t Removal) bool { return t.Task == task })
}
