package worker_test

import (
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/coord"
	"binkeeper/worker"
	"binkeeper/zkpaths"
)

// withoutMount has a worker see an empty folder in place of the archives'.
func withoutMount(t *testing.T) func(*worker.Config) {
	empty := t.TempDir()
	return func(c *worker.Config) {
		c.OpenStore = func(string) (archive.Store, error) { return dirstore.Open(empty) }
	}
}

// archiveAndStop has a worker archive a transaction and stop.
func (b *bubble) archiveAndStop() coord.TaskView {
	b.t.Helper()
	b.createTask()
	stop := b.start("9")
	b.source.Commit(100)
	v := b.compare()
	if err := stop(); err != nil {
		b.t.Error(err)
	}
	return v
}

// The archive is not mounted on the first two hosts: each says what it has found and hands the task on, once; nobody makes
// another archive, and the third, which joins later, is asked at once and goes on.
func TestFindingsGoRoundTheLine(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		before := b.archiveAndStop()
		b.start("1", withoutMount(t))
		b.start("2", withoutMount(t))
		v := b.await("what both have found", 2*time.Minute, func(v coord.TaskView) bool {
			return blocked(zkpaths.BlockedArchiveBehind)(v) && len(v.Status.Findings) == 2
		})
		if len(v.Line) != 2 || v.Status.Hint == "" {
			t.Errorf("line %v, status %+v", v.Line, v.Status)
		}
		term := v.LastCommit.Term
		time.Sleep(time.Hour)
		if v = b.look(); v.LastCommit.Term != term || v.Status.State != zkpaths.StateBlocked || len(v.Status.Findings) != 2 {
			t.Errorf("an hour later: term %d after %d, status %+v; want the round to be over", v.LastCommit.Term, term, v.Status)
		}
		if v.LastCommit.Position != before.LastCommit.Position || v.LastCommit.File != before.LastCommit.File {
			t.Errorf("the checkpoint went from %+v to %+v", before.LastCommit, v.LastCommit)
		}
		b.start("3")
		v = b.await("the third as primary", 2*time.Minute, primary("3"))
		if len(v.Status.Findings) != 0 || len(v.Line) != 3 {
			t.Errorf("findings %v, line %v", v.Status.Findings, v.Line)
		}
		b.source.Commit(100)
		b.compare()
	})
}

// The checkpoint is missing, and the first host sees no archive to rebuild it from: it leaves the claim to the next in line.
func TestRefusedClaimGoesToTheNext(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		before := b.archiveAndStop()
		b.remove(zkpaths.Checkpoint(task))
		b.start("1", withoutMount(t))
		b.await("a block", time.Minute, blocked(zkpaths.BlockedNoPosition))
		b.start("2")
		v := b.await("the second as primary", 2*time.Minute, primary("2"))
		if v.LastCommit.Term <= before.LastCommit.Term || len(v.Line) != 2 {
			t.Errorf("term %d after %d, line %v", v.LastCommit.Term, before.LastCommit.Term, v.Line)
		}
		b.source.Commit(100)
		b.compare()
	})
}
