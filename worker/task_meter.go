package worker

import (
	"errors"
	"sync"
	"sync/atomic"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/worker/dump"
	"binkeeper/zkpaths"
)

// The roles of a worker in one task; "" when it does not stand in the line.
const (
	rolePrimary = "primary"
	roleStandby = "standby"
)

var roles = []string{rolePrimary, roleStandby}

var states = []string{
	zkpaths.StateStopped, zkpaths.StateStarting, zkpaths.StateRunning, zkpaths.StateBlocked, zkpaths.StatePaused,
}

// What went wrong and has no reason in a status.
const (
	reasonWedged = "wedged" // the watchdog has given a term up
	reasonOther  = "other"
)

var errorReasons = []string{
	dump.ReasonSource, dump.ReasonStore, dump.ReasonConflict, dump.ReasonCoordination, reasonWedged, dump.ReasonPanic,
	zkpaths.BlockedPurged, zkpaths.BlockedDiverged, zkpaths.BlockedOtherSource, zkpaths.BlockedOtherTask,
	zkpaths.BlockedArchiveBehind, zkpaths.BlockedArchiveBroken, zkpaths.BlockedTorn, zkpaths.BlockedNoPosition, zkpaths.BlockedNewerFormat,
	zkpaths.BlockedBadSpec, zkpaths.BlockedNotAllowed, zkpaths.BlockedClosed, zkpaths.BlockedGTIDMode, zkpaths.BlockedSourceCorrupt, reasonOther,
}

var gapReasons = []string{archive.ReasonFirst, archive.ReasonGap, archive.ReasonDiverged, archive.ReasonOtherSource, archive.ReasonClosed, reasonOther}

// counts are counters by reason. All of them exist from the start, so that each is
// seen at 0.
type counts map[string]*atomic.Int64

func newCounts(reasons []string) counts {
	c := counts{}
	for _, reason := range reasons {
		c[reason] = new(atomic.Int64)
	}
	return c
}

// add counts one; an unknown reason as reasonOther.
func (c counts) add(reason string) {
	n, ok := c[reason]
	if !ok {
		n = c[reasonOther]
	}
	n.Add(1)
}

// figures are how far a dump has come: a *dump.Progress.
type figures interface {
	Flow() dump.Flow
	SourceFiles() dump.SourceFiles
	Describe(*zkpaths.Status)
	IsOpen() bool
}

// A taskMeter is what this process has done for one task, and how the task stands as
// far as this worker knows. It outlives members, terms and dumps: its counts only
// grow while the worker serves the task.
type taskMeter struct {
	takeovers, reconnects, checkpoints, fenced, storedBytes atomic.Int64
	errors, gaps                                            counts
	leaving                                                 atomic.Bool // the newest spec says that the task is to be removed
	vanished                                                atomic.Bool // the task is gone without having been removed

	mu       sync.Mutex
	role     string
	status   zkpaths.Status   // as this worker has last said it; of a standby only Term and DurableTime
	files    dump.SourceFiles // as the last dump saw them
	gapsOpen int
	past     dump.Flow // of the dumps that have ended
	progress figures   // of the one that has not; nil: there is none
}

func newTaskMeter() *taskMeter {
	return &taskMeter{errors: newCounts(errorReasons), gaps: newCounts(gapReasons)}
}

// become records a role without a task to answer for: standby, or none.
func (t *taskMeter) become(role string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.role = role
	t.status = zkpaths.Status{Term: t.status.Term, DurableTime: t.status.DurableTime}
	t.files = dump.SourceFiles{}
}

// claimed records a new term.
func (t *taskMeter) claimed(s zkpaths.Status) {
	t.takeovers.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.role, t.status = rolePrimary, s
}

// say records what this worker says of the task.
func (t *taskMeter) say(s zkpaths.Status) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.status = s
}

// begin makes p the progress of the dump that is under way.
func (t *taskMeter) begin(p figures) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress = p
}

// end keeps what has gone through the dump, which has ended.
func (t *taskMeter) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.past = t.past.Plus(t.progress.Flow())
	t.progress.Describe(&t.status)
	t.files = t.progress.SourceFiles()
	t.progress = nil
}

// erred counts what kept a member from serving the task.
func (t *taskMeter) erred(err error) {
	block, store := (*dump.BlockedError)(nil), (*archive.StoreError)(nil)
	switch {
	case errors.As(err, &block):
		t.errors.add(block.Reason)
	case errors.As(err, &store):
		t.errors.add(dump.ReasonStore)
	default:
		t.errors.add(dump.ReasonCoordination)
	}
}

// ended counts how a dump has ended.
func (t *taskMeter) ended(e dump.Ending) {
	switch e.Kind {
	case dump.EndedInOrder, dump.EndedByPanic: // which the member counts
	case dump.EndedFenced:
		t.fenced.Add(1)
	case dump.EndedByConflict:
		t.errors.add(dump.ReasonConflict)
	case dump.EndedCutOff:
		t.errors.add(dump.ReasonCoordination)
	default:
		t.errors.add(e.Reason)
	}
}

// wrote counts a write of the term's that was refused.
func (t *taskMeter) wrote(err error) {
	if errors.Is(err, coord.ErrFenced) {
		t.fenced.Add(1)
	}
}

// committed counts a checkpoint, or that ZooKeeper has refused one.
func (t *taskMeter) committed(err error) {
	if err == nil {
		t.checkpoints.Add(1)
	} else if errors.As(err, new(*coord.RefusedError)) {
		t.errors.add(dump.ReasonCoordination)
	}
}

// sawTimelines counts the gaps that the archive has recorded.
func (t *taskMeter) sawTimelines(timelines []archive.Timeline) {
	open := 0
	for _, tl := range timelines {
		if tl.Gap != nil {
			open++
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gapsOpen = open
}

// began records a new timeline in the archive.
func (t *taskMeter) began(tl archive.Timeline) {
	if tl.Gap == nil {
		return
	}
	t.gaps.add(tl.Reason)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gapsOpen++
}

// A reading is a taskMeter at one moment.
type reading struct {
	*taskMeter // its counters
	role       string
	status     zkpaths.Status
	files      dump.SourceFiles
	gapsOpen   int
	flow       dump.Flow
	open       bool // the dump is open and proven
}

func (t *taskMeter) read() reading {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := reading{taskMeter: t, role: t.role, status: t.status, files: t.files, gapsOpen: t.gapsOpen, flow: t.past}
	if t.progress != nil {
		t.progress.Describe(&r.status)
		r.files = t.progress.SourceFiles()
		r.flow = r.flow.Plus(t.progress.Flow())
		r.open = t.progress.IsOpen()
	}
	return r
}
