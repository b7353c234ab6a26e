package worker_test

import (
	"strings"
	"testing"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

// A worker takes a new task and archives what the source has and what it writes from then on.
func TestTakesATaskAndArchivesIt(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.source.Commit(300)
		b.source.Rotate()
		b.start("1")
		b.createTask()
		b.await("running", time.Minute, primary("1"))
		for range 3 {
			b.source.Commit(2 << 20) // more than a segment
			b.source.Rotate()
			b.source.Commit(100)
		}
		v := b.compare()
		if v.LastCommit.Term != 1 || len(v.Line) != 1 || v.Status.Reconnects != 0 {
			t.Errorf("checkpoint %+v, line %v, status %+v; want the first term of one instance, with one connection", v.LastCommit, v.Line, v.Status)
		}
		if spec := b.look().Spec; !spec.Owner {
			t.Error("the spec does not say that the archive has its task.json")
		}
	})
}

// The primary's session expires: the standby takes over at the checkpoint, and the first stands behind it, in a new
// session of the same process.
func TestStandbyTakesOverWhenTheSessionExpires(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.startTwo()
		b.source.Commit(100)
		before := b.compare()
		b.ensemble.Expire(before.Line[0].Session)
		b.source.Commit(100)
		b.await("the second as primary", 30*time.Second, primary("2"))
		v := b.await("the first behind it", 30*time.Second, func(v coord.TaskView) bool { return len(v.Line) == 2 })
		if v.Line[1].ServerID != "1" || v.Line[1].Session == before.Line[0].Session || v.LastCommit.Term != before.LastCommit.Term+1 {
			t.Errorf("line %v in term %d after %d, want the first at its end in a new session, in the next term", v.Line, v.LastCommit.Term, before.LastCommit.Term)
		}
		b.compare()
	})
}

// One worker's session expires: it goes on with a new one, in a new term.
func TestGoesOnWithANewSession(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.start("1")
		before := b.await("running", time.Minute, running)
		b.ensemble.Expire(before.Line[0].Session)
		b.source.Commit(100)
		v := b.compare()
		if v.LastCommit.Term != before.LastCommit.Term+1 || v.Line[0].Session == before.Line[0].Session {
			t.Errorf("term %d in session %x after %d in %x", v.LastCommit.Term, v.Line[0].Session, before.LastCommit.Term, before.Line[0].Session)
		}
		if len(b.timelines()) != 1 {
			t.Errorf("timelines %+v, want one", b.timelines())
		}
	})
}

// A primary that stops hands over: what it has read is archived and committed, and the standby does not wait for a session
// to expire.
func TestHandsOverWhenItStops(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.order(func(s *zkpaths.Spec) { s.FlushInterval = zkpaths.Duration(time.Hour) }) // nothing is flushed by itself
		stopFirst, stopSecond := b.startTwo()
		b.source.Commit(100)
		time.Sleep(time.Second) // for the transaction to be read
		began := time.Now()
		if err := stopFirst(); err != nil {
			t.Error(err)
		}
		end := int64(len(b.source.File("mysql-bin.000001")))
		b.await("the second as primary", time.Second, func(v coord.TaskView) bool {
			return primary("2")(v) && v.LastCommit.Position == end
		})
		if took := time.Since(began); took > time.Second {
			t.Errorf("the hand-over took %s", took)
		}
		if err := stopSecond(); err != nil {
			t.Error(err)
		}
		v := b.look()
		if v.Status.State != zkpaths.StateStopped || len(v.Line) != 0 || v.LastCommit.Term != 2 {
			t.Errorf("status %+v, line %v in term %d, want stopped, nobody and 2", v.Status, v.Line, v.LastCommit.Term)
		}
		b.compare()
	})
}

// The own instance is deleted by a stranger: the term is over, and the worker joins the line again.
func TestOwnInstanceDeleted(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.start("1")
		before := b.await("running", time.Minute, running)
		b.remove(zkpaths.Member(task, before.Line[0].Name))
		b.source.Commit(100)
		v := b.compare()
		if v.LastCommit.Term != before.LastCommit.Term+1 || v.Line[0].Name == before.Line[0].Name || v.Line[0].Session != before.Line[0].Session {
			t.Errorf("line %v in term %d after %v in %d, want another instance of the same session in the next term", v.Line, v.LastCommit.Term, before.Line, before.LastCommit.Term)
		}
	})
}

// A second process with the same server id is refused, and the first is left alone.
func TestServerIDTaken(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.start("1")
		before := b.await("running", time.Minute, running)
		err := b.worker("1").Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "server id") {
			t.Errorf("a second worker with the server id: %v", err)
		}
		if v := b.look(); v.Status.Term != before.Status.Term || !running(v) {
			t.Errorf("the first: %+v", v.Status)
		}
	})
}
