package monitor

import (
	"errors"

	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

// A Row is a task as /api/v1/tasks shows it, which is as `binkeeper task list
// -o json` does.
type Row struct {
	ID          string       `json:"id"`
	State       string       `json:"state"` // "" when something of the task is unreadable; reason says what
	Desired     string       `json:"desired"`
	Primary     string       `json:"primary"`  // the server id, "" without one
	Standbys    []string     `json:"standbys"` // server ids, the next primary first
	Source      string       `json:"source"`
	Archive     string       `json:"archive"`
	DurableTime zkpaths.Time `json:"durable_time"`
	BehindBytes int64        `json:"behind_bytes"`
	Timeline    int64        `json:"timeline"`
	File        string       `json:"file"`
	Position    int64        `json:"position"`
	Term        int64        `json:"term"`
	Reason      string       `json:"reason"`
	Hint        string       `json:"hint"`
}

// An Observation is a task at one moment.
type Observation struct {
	Row
	Instances   int
	Vanished    bool   // the task is gone without having been removed: the rest is what was last known
	Trouble     error  // why a payload cannot be used: *zkpaths.UnreadableError or *zkpaths.NewerFormatError
	Speaks      bool   // whether there is a status to go by
	StatusTerm  int64  // what the status says; Row.Term is the checkpoint's
	StatusFile  string // where the archive ends, as the status says; Row has the checkpoint
	StatusEnd   int64
	Detail      string
	PurgeMargin zkpaths.Margin
	Changes     int64 // of state, since the task was created; 0 when the status does not count them
	Transitions []zkpaths.Transition
}

// Observe gives what alerts go by of a task's view, in which the members of the
// line may have their places only.
func Observe(view coord.TaskView) Observation {
	status := view.Status
	o := Observation{
		Row: Row{
			ID: view.ID, State: status.State, Desired: view.Spec.Desired, Source: view.Spec.Source, Archive: view.Spec.Archive,
			DurableTime: durableTime(status), BehindBytes: status.BehindBytes, Reason: status.Reason, Hint: status.Hint,
		},
		Instances: len(view.Line), Speaks: view.StatusErr == nil, StatusTerm: status.Term, StatusFile: status.File, StatusEnd: status.Position,
		Detail: status.Detail, PurgeMargin: status.PurgeMargin, Changes: status.Changes, Transitions: status.Transitions,
	}
	o.Primary, o.Standbys = roles(view)
	o.setCheckpoint(view.LastCommit)
	shown := false
	for _, err := range []error{view.SpecErr, view.StatusErr, view.LastCommitErr, view.LineErr} {
		if err == nil {
			continue
		}
		if !shown {
			o.State, o.Reason, o.Hint, shown = "", err.Error(), hintOf(err), true
		}
		if o.Trouble == nil && !errors.Is(err, coord.ErrMissing) { // what is missing, a worker makes
			o.Trouble = err
		}
	}
	return o
}

// durableTime is the status' own, but not after the status was written: no worker has
// archived then what its source was still to write. Earlier workers say so where an
// event bears a time to come.
func durableTime(s zkpaths.Status) zkpaths.Time {
	if !s.UpdatedAt.IsZero() && s.DurableTime.After(s.UpdatedAt.Time) {
		return s.UpdatedAt
	}
	return s.DurableTime
}

// Vanished is a task of which nothing is known but that it is gone without having been
// removed.
func Vanished(id string) Observation { return Observation{Row: Row{ID: id}}.vanished() }

// vanished is o once the task is gone.
func (o Observation) vanished() Observation {
	o.Vanished, o.Instances, o.State, o.Primary, o.Standbys = true, 0, "", "", []string{}
	o.Reason, o.Hint, o.Detail = zkpaths.ReasonVanished, zkpaths.HintVanished(o.ID), ""
	return o
}

func (o *Observation) setCheckpoint(last zkpaths.LastCommit) {
	o.Timeline, o.File, o.Position, o.Term = last.Timeline, last.File, last.Position, last.Term
}

// roles are the server ids of the instance that the status speaks of, if it is
// still in the line and has not stopped, and of all others.
func roles(view coord.TaskView) (primary string, standbys []string) {
	standbys = []string{}
	for _, m := range view.Line {
		if primary == "" && speaks(view, m.Place) {
			primary = m.ServerID
		} else {
			standbys = append(standbys, m.ServerID)
		}
	}
	return primary, standbys
}

// speaks reports whether the status is that of the instance at a place. A status
// that names no instance is its server's.
func speaks(view coord.TaskView, p zkpaths.Place) bool {
	s := view.Status
	if view.StatusErr != nil || s.State == zkpaths.StateStopped {
		return false
	}
	return s.Instance == p.Name || s.Instance == "" && s.ServerID == p.ServerID
}

// hintOf is the operator's next step that err knows of, or "".
func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}
