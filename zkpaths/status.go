package zkpaths

import (
	"encoding/json"
	"strings"
	"time"
)

// The states of a task.
const (
	StateStopped  = "stopped"  // no primary
	StateStarting = "starting" // claimed, not streaming yet; the reason says why, while it retries
	StateRunning  = "running"  // the dump is open
	StateBlocked  = "blocked"  // needs an operator
	StatePaused   = "paused"   // the operator has paused it
)

// The reasons of StateBlocked.
const (
	BlockedPurged        = "purged"
	BlockedDiverged      = "diverged"
	BlockedOtherSource   = "other-source"
	BlockedOtherTask     = "other-task"
	BlockedArchiveBehind = "archive-behind"
	BlockedNoPosition    = "no-position"
	BlockedNewerFormat   = "newer-format"
	BlockedBadSpec       = "bad-spec"       // the spec is unreadable, or no worker can work by it
	BlockedTorn          = "torn"           // the source can send no more of a file, and what follows is not proven
	BlockedSourceCorrupt = "source-corrupt" // a file of the source's is corrupt: no replica can pass
	BlockedGTIDMode      = "gtid-mode"      // the source does not send, in its gtid_mode, what it logged in another one
	BlockedArchiveBroken = "archive-broken" // an object on the chain is unreadable
	BlockedClosed        = "closed"         // the newest timeline is closed, and not for what is found now
	BlockedNotAllowed    = "not-allowed"    // this worker's own flags do not allow what the spec names
)

// MaxTransitions is how many changes of state a Status remembers.
const MaxTransitions = 16

// Status is what the primary says of itself: /tasks/<id>/status.
type Status struct {
	Head
	State     string `json:"state"`
	Term      int64  `json:"term"`
	ServerID  string `json:"server_id"`
	Instance  string `json:"instance"` // the znode name of the instance that speaks
	Since     Time   `json:"since"`    // of State
	UpdatedAt Time   `json:"updated_at"`
	Reason    string `json:"reason"`
	Detail    string `json:"detail"` // the error behind the reason, in words
	Hint      string `json:"hint"`   // what to do
	// SeenServer names the server that answered at the source's address when the task
	// was found to be blocked: MySQL's server_uuid, or "server id N" with MariaDB's
	// server_uid behind it. It is "" when none was asked, and in every other state.
	SeenServer  string       `json:"seen_server"`
	CaughtUp    bool         `json:"caught_up"`
	BehindBytes int64        `json:"behind_bytes"` // from the archive's end to the source's
	File        string       `json:"file"`
	Position    int64        `json:"position"`
	DurableTime Time         `json:"durable_time"` // all that the source had written by then is archived
	Transitions []Transition `json:"transitions"`  // the last 16, oldest first
	Reconnects  int64        `json:"reconnects"`   // dumps begun in this term after its first
	// PurgeMargin is how many closed binlog files the source can purge before it
	// comes to the one that is needed next. It is unknown while the source's newest
	// file is the one needed next, which a source never purges.
	PurgeMargin Margin `json:"purge_margin_files"`
	// Findings are the blocks that workers have found, each at its host, since the task
	// last ran: while a worker in the line is not among them, the primary
	// leaves the task to the next.
	Findings []Finding `json:"findings,omitempty"`
	// Changes counts all transitions since the task was created, so that a
	// reader sees how many Transitions no longer holds.
	Changes int64 `json:"changes"`
}

// A Margin is a number of files, or unknown, which is its zero value and, in a
// payload, -1. A payload without the key, of an earlier version, has none.
type Margin struct {
	Files int64
	Known bool
}

// MarshalJSON gives the number, -1 when it is unknown.
func (m Margin) MarshalJSON() ([]byte, error) {
	if !m.Known {
		return []byte("-1"), nil
	}
	return json.Marshal(m.Files)
}

// UnmarshalJSON reads a number; any below 0 is unknown.
func (m *Margin) UnmarshalJSON(data []byte) error {
	var files int64
	if err := json.Unmarshal(data, &files); err != nil {
		return err
	}
	*m = Margin{}
	if files >= 0 {
		*m = Margin{Files: files, Known: true}
	}
	return nil
}

// A Finding is a block that one worker has found, and others perhaps do not find.
type Finding struct {
	ServerID string `json:"server_id"`
	// Instance is where the worker stands in the line; "" after it has gone to the
	// end, until the next primary puts its new name there.
	Instance string `json:"instance"`
	Reason   string `json:"reason"` // one of the Blocked words
	At       Time   `json:"at"`     // by the worker's clock
}

// A Transition is one change of state.
type Transition struct {
	At       Time   `json:"at"`
	From     string `json:"from"`
	To       string `json:"to"`
	Term     int64  `json:"term"`
	ServerID string `json:"server_id"`
	Reason   string `json:"reason"`
}

// Say returns s as now said by the given instance in its term: in state, for
// reason (a word), detail (the error in words) and hint. Only a change of state
// is a transition.
func (s Status) Say(state string, by Place, term int64, at time.Time, reason, detail, hint string) Status {
	now := At(at)
	next := s
	next.Transitions = append([]Transition{}, s.Transitions...)
	if state != s.State {
		next.Since = now
		next.Changes++
		next.Transitions = append(next.Transitions, Transition{now, s.State, state, term, by.ServerID, reason})
		if extra := len(next.Transitions) - MaxTransitions; extra > 0 {
			next.Transitions = next.Transitions[extra:]
		}
	}
	next.State, next.Term, next.ServerID, next.Instance = state, term, by.ServerID, by.Name
	next.UpdatedAt, next.Reason, next.Detail, next.Hint = now, reason, shortened(detail), hint
	if state != StateBlocked {
		next.SeenServer = ""
	}
	return next
}

// maxDetail keeps a status under MaxPayload: a missing GTID set may be long.
const maxDetail = 4 << 10

func shortened(detail string) string {
	if len(detail) <= maxDetail {
		return detail
	}
	return strings.ToValidUTF8(detail[:maxDetail], "") + "…"
}

// NewStatus is the status of a task that no worker has served yet.
func NewStatus(at time.Time) Status {
	return Status{State: StateStopped, Since: At(at), UpdatedAt: At(at), Transitions: []Transition{}}
}
