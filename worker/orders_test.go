package worker_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/internal/mysqltest"
	"binkeeper/zkpaths"
)

// A pause closes the dump and keeps the term and the line; the next dump goes on where the archive ends.
func TestPauseAndResume(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.startTwo()
		b.source.Commit(100)
		before := b.compare()
		b.order(func(s *zkpaths.Spec) { s.Desired = zkpaths.Paused })
		v := b.await("paused", time.Minute, func(v coord.TaskView) bool { return v.Status.State == zkpaths.StatePaused })
		if len(v.Line) != 2 {
			t.Errorf("instances left the line in a pause: %v", v.Line)
		}
		dumps := b.source.Dumps()
		b.source.Commit(100)
		time.Sleep(10 * time.Minute)
		if v := b.look(); v.LastCommit.Position != before.LastCommit.Position || b.source.Dumps() != dumps {
			t.Errorf("in a pause: checkpoint %+v after %+v, %d dumps after %d", v.LastCommit, before.LastCommit, b.source.Dumps(), dumps)
		}
		b.order(func(s *zkpaths.Spec) { s.Desired = zkpaths.Running })
		if v := b.compare(); v.LastCommit.Term != before.LastCommit.Term || b.source.Dumps() != dumps+1 {
			t.Errorf("after the pause: term %d after %d, %d dumps after %d", v.LastCommit.Term, before.LastCommit.Term, b.source.Dumps(), dumps)
		}
	})
}

// A switchover makes the standby primary and puts the first at the line's end, where it is a standby that takes over.
func TestSwitchover(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		_, stopSecond := b.startTwo()
		b.source.Commit(100)
		before := b.compare()
		b.order(func(s *zkpaths.Spec) { s.SwitchoverTo = before.Line[1].Name })
		v := b.await("the second as primary", 2*time.Second, primary("2"))
		if len(v.Line) != 2 || v.Line[0].Name != before.Line[1].Name || v.Line[1].ServerID != "1" || v.LastCommit.Term != before.LastCommit.Term+1 {
			t.Errorf("line %v in term %d, want the second and the first, in the next term", v.Line, v.LastCommit.Term)
		}
		b.source.Commit(100)
		b.compare()
		time.Sleep(10 * time.Minute)
		if v := b.look(); v.LastCommit.Term != before.LastCommit.Term+1 {
			t.Errorf("term %d: the switchover was carried out more than once", v.LastCommit.Term)
		}
		if err := stopSecond(); err != nil {
			t.Error(err)
		}
		b.await("the first as primary again", 2*time.Second, primary("1"))
		b.compare()
	})
}

// What a dump depends on changes: what was read is archived, and the next dump goes by the new spec in the same term.
func TestSpecChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.order(func(s *zkpaths.Spec) { s.FlushInterval = zkpaths.Duration(time.Hour) })
		b.start("1")
		before := b.await("running", time.Minute, running)
		b.source.Commit(100)
		time.Sleep(time.Second)
		b.order(func(s *zkpaths.Spec) { s.FlushInterval = zkpaths.Duration(time.Second) })
		b.await("what was read", 2*time.Second, func(v coord.TaskView) bool {
			return v.LastCommit.Position == int64(len(b.source.File("mysql-bin.000001")))
		})
		b.source.Commit(100)
		b.await("what was read by the new spec", 5*time.Second, func(v coord.TaskView) bool {
			return v.LastCommit.Position == int64(len(b.source.File("mysql-bin.000001")))
		})
		if v := b.compare(); v.LastCommit.Term != before.LastCommit.Term || b.source.Dumps() != 2 {
			t.Errorf("term %d after %d, %d dumps; want the same and 2", v.LastCommit.Term, before.LastCommit.Term, b.source.Dumps())
		}
	})
}

// A task that is removed is archived to its end, and its nodes go once both workers have left; made again with the same
// task_uid, it goes on in the same timeline.
func TestRemove(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.order(func(s *zkpaths.Spec) { s.FlushInterval = zkpaths.Duration(time.Hour) })
		b.startTwo()
		b.source.Commit(100)
		time.Sleep(time.Second)
		b.order(func(s *zkpaths.Spec) { s.Desired = zkpaths.Removed })
		time.Sleep(30 * time.Second)
		if _, err := b.sess.Look(t.Context(), task); !errors.Is(err, coord.ErrNoTask) {
			t.Fatalf("a look at the removed task: %v", err)
		}
		if end, err := b.archive().Walk(t.Context(), nil); err != nil || end.Offset != int64(len(b.source.File("mysql-bin.000001"))) {
			t.Errorf("the archive ends at %+v (%v), the source at %d", end, err, len(b.source.File("mysql-bin.000001")))
		}
		if n := b.journal.count("the task has vanished"); n > 0 {
			t.Error("a removal counts as a loss")
		}
		b.createTask()
		b.source.Commit(100)
		b.compare()
		if n := len(b.timelines()); n != 1 {
			t.Errorf("%d timelines, want 1", n)
		}
	})
}

// The files behind the archive were purged: the task is blocked, the wrong answer helps nothing, and the right one makes a
// new timeline at once.
func TestBlockedUntilAnswered(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		stop := b.start("1")
		b.source.Commit(100)
		b.compare()
		if err := stop(); err != nil {
			t.Error(err)
		}
		for range 2 {
			b.source.Commit(100)
			b.source.Rotate()
		}
		files := b.source.Files()
		b.source.Purge(files[len(files)-1])
		b.start("1")
		v := b.await("a block", time.Minute, blocked(zkpaths.BlockedPurged))
		if v.Status.Hint == "" || v.Status.Detail == "" || len(v.Line) != 1 {
			t.Errorf("status %+v, line %v", v.Status, v.Line)
		}
		b.accept(zkpaths.AcceptNewTimeline)
		time.Sleep(5 * time.Minute)
		b.await("still blocked", 0, blocked(zkpaths.BlockedPurged))
		b.accept(zkpaths.AcceptGap)
		b.await("running", 2*time.Second, running)
		b.source.Commit(100)
		b.compare()
		timelines := b.timelines()
		if last := timelines[len(timelines)-1]; len(timelines) != 2 || last.Reason != archive.ReasonGap || last.Gap == nil {
			t.Errorf("timelines %+v", timelines)
		}
	})
}

// Another server answers at the source's address: what was read of the one before stays, and nothing of the other is mixed
// in before the operator has answered.
func TestAnotherServerAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.start("1")
		b.source.Commit(100)
		b.compare()
		b.source.Become(mysqltest.Identity{UUID: "4e11fa47-71ca-11e1-9e33-c80aa9429562", ServerID: 8})
		b.source.EndConnections()
		before := b.objects()
		b.await("a block", time.Minute, blocked(zkpaths.BlockedOtherSource))
		b.source.Commit(100)
		time.Sleep(5 * time.Minute)
		if after := b.objects(); !slices.Equal(after, before) {
			t.Errorf("the archive was %q and is %q", before, after)
		}
		b.accept(zkpaths.AcceptNewTimeline)
		b.await("running", 2*time.Second, running)
		b.compare()
		if timelines := b.timelines(); len(timelines) != 2 || timelines[1].Reason != archive.ReasonOtherSource {
			t.Errorf("timelines %+v", timelines)
		}
	})
}
