package worker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"binkeeper/zkpaths"
)

// A queue is a task's line as it goes round: the status that is handed from one to the
// next, and what each worker finds at its host, "" for nothing.
type queue struct {
	t       *testing.T
	line    []zkpaths.Place
	seq     int32
	finds   map[string]string
	status  zkpaths.Status
	changes int // of the primary
}

func newQueue(t *testing.T, finds map[string]string, servers ...string) *queue {
	q := &queue{t: t, finds: finds, status: zkpaths.NewStatus(time.Unix(0, 0))}
	for _, id := range servers {
		q.join(id)
	}
	q.claim()
	return q
}

func (q *queue) join(serverID string) {
	q.seq++
	q.line = append(q.line, zkpaths.Place{Name: fmt.Sprintf("server_%s_%010d", serverID, q.seq), ServerID: serverID, Seq: q.seq})
}

func (q *queue) leave(serverID string) {
	q.line = slices.DeleteFunc(q.line, func(p zkpaths.Place) bool { return p.ServerID == serverID })
}

func (q *queue) claim() {
	q.status = claimed(q.status, q.line[0], q.line, q.status.Term+1, time.Unix(0, 0))
}

// look lets the primary look, and whoever is primary after it, until one stays.
func (q *queue) look() {
	q.t.Helper()
	for range 100 {
		own := q.line[0]
		reason := q.finds[own.ServerID]
		if reason == "" {
			q.status = q.status.Say(zkpaths.StateRunning, own, q.status.Term, time.Unix(0, 0), "", "", "")
			q.status.Findings = nil
			return
		}
		r := goRound(q.status.Findings, reason, own, q.line, time.Unix(0, 0))
		q.status.Findings = r.findings
		q.status = q.status.Say(r.state(q.status.State, zkpaths.StateStarting), own, q.status.Term, time.Unix(0, 0), reason, "", "")
		if !r.handOn {
			return
		}
		q.status = atEnd(q.status, own)
		q.leave(own.ServerID)
		q.join(own.ServerID)
		q.claim()
		q.changes++
	}
	q.t.Fatalf("the task goes round and round: %+v", q.status)
}

// found says who found what, in the order of their looks.
func (q *queue) found() string {
	var words []string
	for _, f := range q.status.Findings {
		words = append(words, f.ServerID+" "+f.Reason)
	}
	return strings.Join(words, ", ")
}

func TestRound(t *testing.T) {
	const behind, other, purged = zkpaths.BlockedArchiveBehind, zkpaths.BlockedOtherTask, zkpaths.BlockedPurged
	tests := []struct {
		name    string
		finds   map[string]string
		servers []string
		then    func(*queue) // after the first look, each followed by another
		state   string
		primary string
		found   string
		changes int
	}{
		{"alone", map[string]string{"1": behind}, []string{"1"}, nil, "blocked", "1", "1 archive-behind", 0},
		{"one of two", map[string]string{"1": behind}, []string{"1", "2"}, nil, "running", "2", "", 1},
		{"both", map[string]string{"1": behind, "2": behind}, []string{"1", "2"}, nil, "blocked", "2", "1 archive-behind, 2 archive-behind", 1},
		{"all, of different reasons", map[string]string{"1": behind, "2": other, "3": behind}, []string{"1", "2", "3"}, nil, "blocked", "3",
			"1 archive-behind, 2 other-task, 3 archive-behind", 2},
		{"what all would find", map[string]string{"1": purged, "2": purged}, []string{"1", "2"}, nil, "blocked", "1", "", 0},
		{"what all would find, found by the second", map[string]string{"1": behind, "2": purged}, []string{"1", "2", "3"}, nil, "blocked", "2", "1 archive-behind", 1},
		{"all, and another look", map[string]string{"1": behind, "2": behind}, []string{"1", "2"}, func(*queue) {}, "blocked", "2", "1 archive-behind, 2 archive-behind", 1},
		{"all, and one more comes, who can", map[string]string{"1": behind, "2": behind}, []string{"1", "2"}, func(q *queue) { q.join("3") }, "running", "3", "", 3},
		{"all, and one more comes, who cannot", map[string]string{"1": behind, "2": behind, "3": other}, []string{"1", "2"}, func(q *queue) { q.join("3") },
			"blocked", "3", "2 archive-behind, 1 archive-behind, 3 other-task", 3},
		{"all, and one is started again", map[string]string{"1": behind, "2": behind}, []string{"1", "2"}, func(q *queue) {
			q.leave("1")
			q.join("1")
			q.finds["1"] = ""
		}, "running", "1", "", 2},
		{"all, and the primary is started again", map[string]string{"1": behind, "2": behind}, []string{"1", "2"}, func(q *queue) {
			q.leave("2")
			q.join("2")
			q.finds["2"] = ""
			q.claim()
		}, "running", "2", "", 2},
		{"all, and the operator says resume", map[string]string{"1": behind, "2": behind}, []string{"1", "2"}, func(q *queue) {
			q.status.Findings = nil
			q.finds["1"] = ""
		}, "running", "1", "", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := newQueue(t, tt.finds, tt.servers...)
			q.look()
			if tt.then != nil {
				tt.then(q)
				q.look()
			}
			if q.status.State != tt.state || q.line[0].ServerID != tt.primary || q.found() != tt.found || q.changes != tt.changes {
				t.Errorf("%s, primary %s after %d changes, found %q; want %s, %s after %d, %q",
					q.status.State, q.line[0].ServerID, q.changes, q.found(), tt.state, tt.primary, tt.changes, tt.found)
			}
		})
	}
}

// While a block goes round, nobody is told that it is over, or that there is one before
// all agree.
func TestStateInARound(t *testing.T) {
	all := map[string]string{"1": zkpaths.BlockedArchiveBehind, "2": zkpaths.BlockedArchiveBehind, "3": zkpaths.BlockedArchiveBehind}
	q := newQueue(t, all, "1", "2")
	q.look()
	blocked := func() (n int) {
		for _, change := range q.status.Transitions {
			if change.From == zkpaths.StateBlocked || change.To == zkpaths.StateBlocked {
				n++
			}
		}
		return n
	}
	if n := blocked(); n != 1 {
		t.Errorf("in the first round %d transitions from or to blocked, want 1: %+v", n, q.status.Transitions)
	}
	q.join("3")
	q.look()
	q.status.Findings = nil
	q.look()
	if n := blocked(); n != 1 {
		t.Errorf("in later rounds %d transitions from or to blocked, want 1: %+v", n, q.status.Transitions)
	}
}

func TestLongLineIsNotAskedForEver(t *testing.T) {
	finds, servers := map[string]string{}, []string{}
	for i := range 2 * maxFindings {
		id := fmt.Sprint(i)
		finds[id], servers = zkpaths.BlockedNotAllowed, append(servers, id)
	}
	q := newQueue(t, finds, servers...)
	q.look()
	q.look()
	if _, err := zkpaths.Encode("/status", &q.status); err != nil || q.status.State != zkpaths.StateBlocked || q.changes != maxFindings-1 {
		t.Errorf("%s after %d changes, %v", q.status.State, q.changes, err)
	}
}
