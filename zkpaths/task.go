package zkpaths

import (
	"fmt"
	"time"
)

// What an operator wants of a task.
const (
	Running = "running"
	Paused  = "paused"
	Removed = "removed"
)

// Spec is what the operator wants of a task: /tasks/<id>. Commands write it, by
// version; a primary writes Owner, and nothing else.
type Spec struct {
	Head
	Source             string   `json:"source"`       // mysql://user@host:port?...
	PasswordRef        string   `json:"password_ref"` // file:PATH or env:NAME, resolved by the worker within its own limits
	Archive            string   `json:"archive"`      // the store's URL
	Start              string   `json:"start"`        // earliest, current, or a binlog file's name
	SegmentSize        int64    `json:"segment_size"` // bytes
	FlushInterval      Duration `json:"flush_interval"`
	CheckpointInterval Duration `json:"checkpoint_interval"`
	Desired            string   `json:"desired"`           // Running, Paused or Removed
	TaskUID            string   `json:"task_uid"`          // whose archive it is: as in task.json
	ReplicaUUID        string   `json:"replica_uuid"`      // how the source knows this task
	ReplicaServerID    uint32   `json:"replica_server_id"` // the same, as MySQL's number
	CreatedAt          Time     `json:"created_at"`
	// Owner says that the archive is known to have its task.json: task create has made or
	// found it, or a primary has worked there. A worker that misses it then is at another
	// place, such as an unmounted share's, and does not make one.
	Owner bool `json:"owner,omitempty"`
	// SwitchoverTo is the name of the instance that is to be primary: a
	// primary that comes before it in the line yields. It asks for nothing
	// once that instance is gone.
	SwitchoverTo string `json:"switchover_to,omitempty"`
	// ResumedAt is when the operator last said `task resume`: what was found before is to
	// be looked at again.
	ResumedAt Time `json:"resumed_at,omitzero"`
	// Accept is the operator's answer to a blocked task.
	Accept *Accept `json:"accept,omitempty"`
	// Vanished says, in a spec that is Removed, that the task was not there when it was
	// removed: see VanishedStands.
	Vanished bool `json:"vanished,omitempty"`
}

// RemovesVanished reports whether s stands only to say that a task which had vanished
// is removed. A new task of that name replaces it.
func (s *Spec) RemovesVanished() bool { return s.Desired == Removed && s.Vanished }

// The answers of `task resume` to a blocked task.
const (
	AcceptGap         = "gap"
	AcceptNewTimeline = "new-timeline"
	AcceptArchive     = "archive"
)

// Accept answers one block and no other: it holds only for the reason and the
// server that the status named when the operator answered, and while the checkpoint
// stands where it stood then.
type Accept struct {
	Answer   string `json:"answer"` // AcceptGap, AcceptNewTimeline or AcceptArchive
	Timeline int64  `json:"timeline"`
	File     string `json:"file"`
	Position int64  `json:"position"`
	// Reason is the status' Reason, one of the Blocked words; "" in an answer of an
	// earlier version, which holds for every reason and server.
	Reason string `json:"reason,omitempty"`
	Server string `json:"server,omitempty"` // the status' SeenServer
	At     Time   `json:"at"`
}

// Answers reports whether a allows answer for a task that is blocked for reason with
// server behind its address, "" when none was asked, and whose checkpoint is last.
func (a *Accept) Answers(answer, reason, server string, last LastCommit) bool {
	return a != nil && a.Answer == answer && a.Timeline == last.Timeline && a.File == last.File && a.Position == last.Position &&
		(a.Reason == "" || a.Reason == reason && a.Server == server)
}

// Where a task begins in its source's binlog, besides the name of a file.
const (
	StartEarliest = "earliest" // at the oldest file that the source has
	StartCurrent  = "current"  // at the file that is being written
)

// Bounds of a spec's sizes and times. A segment is held in memory, four at most
// in a task; a shorter flush or checkpoint interval would only make more objects and
// more load on ZooKeeper.
const (
	MinSegmentSize = 64 << 10
	MaxSegmentSize = 256 << 20
	MinInterval    = 10 * time.Millisecond
	MaxInterval    = time.Hour
)

// Check reports the first value of s that no worker can work by. To be removed, a
// task needs no other value.
func (s *Spec) Check() error {
	switch {
	case s.Desired == Removed:
		return nil
	case s.Source == "":
		return fmt.Errorf("source is empty")
	case s.Archive == "":
		return fmt.Errorf("archive is empty")
	case s.Start == "":
		return fmt.Errorf("start is empty: want earliest, current or the name of a binlog file")
	case s.SegmentSize < MinSegmentSize || s.SegmentSize > MaxSegmentSize:
		return fmt.Errorf("segment_size %d: want %d to %d bytes", s.SegmentSize, MinSegmentSize, MaxSegmentSize)
	case !inRange(s.FlushInterval):
		return fmt.Errorf("flush_interval %s: want %s to %s", s.FlushInterval, MinInterval, MaxInterval)
	case !inRange(s.CheckpointInterval):
		return fmt.Errorf("checkpoint_interval %s: want %s to %s", s.CheckpointInterval, MinInterval, MaxInterval)
	case s.Desired != Running && s.Desired != Paused && s.Desired != Removed:
		return fmt.Errorf("desired %q: want %s, %s or %s", s.Desired, Running, Paused, Removed)
	}
	return nil
}

func inRange(d Duration) bool {
	return time.Duration(d) >= MinInterval && time.Duration(d) <= MaxInterval
}

// Instance is a worker's place in a task's line:
// /tasks/<id>/instance/server_<serverID>_<seq>.
type Instance struct {
	Head
	ServerID  string `json:"server_id"`
	Host      string `json:"host"`
	PID       int    `json:"pid"`
	Version   string `json:"version"`
	StartedAt Time   `json:"started_at"`
}

// Worker says who is alive: /workers/server_<serverID>.
type Worker struct {
	Head
	ServerID  string `json:"server_id"`
	Host      string `json:"host"`
	PID       int    `json:"pid"`
	CPUs      int    `json:"cpus"`
	Version   string `json:"version"`
	Listen    string `json:"listen"` // host:port of its HTTP server, "" without one
	StartedAt Time   `json:"started_at"`
	// Vanished are the tasks that this worker has served and that are gone without
	// having been removed, sorted: some of them where there are many.
	Vanished []string `json:"vanished,omitempty"`
}

// LastCommit is the checkpoint: /tasks/<id>/lastCommit. The archive is the
// truth; this is where a walk of it begins, and its version is what fences one
// primary from the next.
type LastCommit struct {
	Head
	Term        int64  `json:"term"`
	Commit      int64  `json:"commit"` // counts from 0 in each term
	Timeline    int64  `json:"timeline"`
	File        string `json:"file"`
	Position    int64  `json:"position"` // the end of the chain, an offset in File
	GTIDSet     string `json:"gtid_set"` // complete up to Position
	GTIDOmitted bool   `json:"gtid_set_omitted,omitempty"`
	EventTime   Time   `json:"event_time"` // of the last event before Position, by the source's clock
	CommittedAt Time   `json:"committed_at"`
	ServerID    string `json:"server_id"`
	// Instance is the znode name of the writer: how a claim whose
	// reply was lost is recognised.
	Instance string `json:"instance"`
	// SegmentFile and SegmentStart name the last segment that the checkpoint
	// covers ("" when there is none); SegmentEnd is where it ends.
	SegmentFile  string `json:"segment_file"`
	SegmentStart int64  `json:"segment_start"`
	SegmentEnd   int64  `json:"segment_end"`
}

// SetGTIDSet stores set, or that it is omitted because of its size.
func (c *LastCommit) SetGTIDSet(set string) {
	c.GTIDSet, c.GTIDOmitted = set, false
	if len(set) > MaxGTIDSet {
		c.GTIDSet, c.GTIDOmitted = "", true
	}
}
