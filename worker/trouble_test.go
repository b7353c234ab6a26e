package worker_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/coord"
	"binkeeper/worker"
	"binkeeper/zkpaths"
)

// A gate stands between one worker and its source, and can be closed.
type gate struct{ closed atomic.Bool }

func (g *gate) dial(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if g.closed.Load() {
			return nil, errors.New("no route to host")
		}
		return dial(ctx, network, address)
	}
}

// The primary's way to its source is cut: after 30 seconds of trying it yields to the standby, which reaches the source.
func TestYieldsToOneThatReachesTheSource(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		way := new(gate)
		b.start("1", func(c *worker.Config) { c.DialSource = way.dial(c.DialSource) })
		b.await("the first as primary", time.Minute, primary("1"))
		b.start("2")
		before := b.await("a standby", time.Minute, func(v coord.TaskView) bool { return len(v.Line) == 2 })
		way.closed.Store(true)
		b.source.EndConnections()
		cut := time.Now()
		v := b.await("word of it", 5*time.Second, func(v coord.TaskView) bool { return v.Status.Reason == "source-away" })
		if v.Status.State != zkpaths.StateStarting || v.Status.ServerID != "1" {
			t.Errorf("status %+v", v.Status)
		}
		v = b.await("the second as primary", time.Minute, primary("2"))
		if took := time.Since(cut); took < 30*time.Second {
			t.Errorf("yielded after %s, before 30 s were over", took)
		}
		if v.Line[len(v.Line)-1].ServerID != "1" || v.LastCommit.Term != before.LastCommit.Term+1 {
			t.Errorf("line %v in term %d, want the first at its end, in the next term", v.Line, v.LastCommit.Term)
		}
		b.source.Commit(100)
		b.compare()
	})
}

// A source that is away for both: they yield to each other, each time later, and the archive goes on once it is back.
func TestSourceAwayForAll(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.startTwo()
		b.source.Leave()
		time.Sleep(time.Hour)
		v := b.look()
		if terms := v.LastCommit.Term - 1; terms < 6 || terms > 12 {
			t.Errorf("%d terms in an hour without the source, want 6 to 12: after 30 s, 1 min, 2 min, 4 min, 8 min and then 10 min", terms)
		}
		if v.Status.Reason != "source-away" || v.Status.State != zkpaths.StateStarting {
			t.Errorf("status %+v", v.Status)
		}
		b.source.Return()
		b.source.Commit(100)
		b.compare()
	})
}

// ZooKeeper is away: the archive grows meanwhile, and the checkpoint follows at once when it is back, in the same term.
func TestArchivesWhileZooKeeperIsAway(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.startTwo()
		b.source.Commit(100)
		before := b.compare()
		b.ensemble.LoseQuorum()
		for range 10 {
			b.source.Commit(1000)
			time.Sleep(time.Minute)
		}
		size := int64(len(b.source.File("mysql-bin.000001")))
		if end, err := b.archive().Walk(t.Context(), nil); err != nil || end.Offset != size {
			t.Errorf("without ZooKeeper the archive has come to %+v (%v), the source to %d", end, err, size)
		}
		b.ensemble.Recover()
		v := b.compare()
		if v.LastCommit.Term != before.LastCommit.Term || len(v.Line) != 2 || b.source.Dumps() != 1 {
			t.Errorf("term %d, line %v, %d dumps; want term %d, both and one", v.LastCommit.Term, v.Line, b.source.Dumps(), before.LastCommit.Term)
		}
	})
}

// The ensemble is made anew from a backup, and refuses the sessions that have seen more: the workers open new ones beside
// them, and the archive, which is ahead of the checkpoint now, goes on.
func TestEnsembleFromABackup(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.startTwo()
		b.source.Commit(100)
		b.compare()
		backup := b.ensemble.Snapshot()
		b.source.Commit(100)
		b.compare()
		b.ensemble.Restore(backup)
		b.openAnew()
		b.source.Commit(100)
		b.await("a primary in a new session", 2*time.Minute, func(v coord.TaskView) bool { return running(v) && v.LastCommit.Term > 1 })
		b.await("both in line", 2*time.Minute, func(v coord.TaskView) bool { return len(v.Line) == 2 })
		b.compare()
		if n := len(b.timelines()); n != 1 {
			t.Errorf("%d timelines, want 1", n)
		}
	})
}

// A checkpoint that was deleted is rebuilt from the archive, in a term after those before.
func TestCheckpointDeleted(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		stop := b.start("1")
		b.source.Commit(100)
		before := b.compare()
		if err := stop(); err != nil {
			t.Error(err)
		}
		b.remove(zkpaths.Checkpoint(task))
		b.start("2")
		v := b.await("running", time.Minute, primary("2"))
		if v.LastCommit.Position != before.LastCommit.Position || v.LastCommit.File != before.LastCommit.File || v.LastCommit.Term <= before.LastCommit.Term {
			t.Errorf("the checkpoint is %+v, want %+v in a later term", v.LastCommit, before.LastCommit)
		}
		if n := b.journal.count("rebuilding the checkpoint"); n != 1 {
			t.Errorf("it was rebuilt %d times", n)
		}
		b.source.Commit(100)
		b.compare()
	})
}

// The checkpoint of a task that is being archived is deleted: the term is over, and the next one has it rebuilt.
func TestCheckpointDeletedUnderAPrimary(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.start("1")
		b.source.Commit(100)
		before := b.compare()
		b.remove(zkpaths.Checkpoint(task))
		b.source.Commit(100)
		if v := b.compare(); v.LastCommit.Term <= before.LastCommit.Term {
			t.Errorf("term %d after %d", v.LastCommit.Term, before.LastCommit.Term)
		}
	})
}

// The task's znodes are deleted: that is missed in the worker's node, and the archive is left alone until the task is made
// again.
func TestTaskVanishesInMemory(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.start("1")
		b.source.Commit(100)
		v := b.compare()
		b.remove(zkpaths.Member(task, v.Line[0].Name), zkpaths.Line(task), zkpaths.Checkpoint(task), zkpaths.State(task), zkpaths.Task(task))
		time.Sleep(time.Minute)
		if got := b.vanished(); !slices.Equal(got, []string{task}) || b.journal.count("the task has vanished") != 1 {
			t.Errorf("the worker misses %q", got)
		}
		before := b.objects()
		b.source.Commit(100)
		time.Sleep(time.Minute)
		if after := b.objects(); !slices.Equal(after, before) {
			t.Errorf("the archive of a task that has vanished was %q and is %q", before, after)
		}
		b.createTask()
		b.compare()
		if got := b.vanished(); len(got) != 0 || len(b.timelines()) != 1 {
			t.Errorf("the worker misses %q, timelines %+v", got, b.timelines())
		}
	})
}

// A hangingStore's creates hang, once armed, until released: as on a network
// folder that is gone. They take effect then.
type hangingStore struct {
	archive.Store
	armed   *atomic.Bool
	struck  chan struct{}
	release chan struct{}
}

func (s hangingStore) Create(ctx context.Context, name string, parts ...[]byte) error {
	if s.armed.CompareAndSwap(true, false) {
		close(s.struck)
		<-s.release
		return s.Store.Create(context.WithoutCancel(ctx), name, parts...)
	}
	return s.Store.Create(ctx, name, parts...)
}

// onStore has a worker use a store.
func onStore(store archive.Store) func(*worker.Config) {
	return func(c *worker.Config) { c.OpenStore = func(string) (archive.Store, error) { return store, nil } }
}

// The primary's store takes a segment and never answers: the watchdog gives the term up after its time, and the standby goes
// on. What the store stores late, against a chain that has gone on, does no harm.
func TestWatchdogGivesUp(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		folder, err := dirstore.Open(b.dir)
		if err != nil {
			t.Fatal(err)
		}
		store := hangingStore{folder, new(atomic.Bool), make(chan struct{}), make(chan struct{})}
		release := sync.OnceFunc(func() { close(store.release) })
		first := b.worker("1", onStore(store))
		first.Hurry(time.Minute, 90*time.Second, 10*time.Second) // it looks aside every minute, which is no sign of life
		b.run("1", first)
		t.Cleanup(release)
		b.source.Commit(100)
		b.compare()
		b.start("2")
		before := b.await("a standby", time.Minute, func(v coord.TaskView) bool { return len(v.Line) == 2 })
		store.armed.Store(true)
		b.source.Commit(100)
		<-store.struck
		hung := time.Now()
		v := b.await("the second as primary", 3*time.Minute, primary("2"))
		if took := time.Since(hung); took < 90*time.Second {
			t.Errorf("the watchdog has waited for %s", took)
		}
		if len(v.Line) != 1 || v.LastCommit.Term != before.LastCommit.Term+1 || b.journal.count("no byte moves") != 1 {
			t.Errorf("line %v in term %d, want the second alone in the next term", v.Line, v.LastCommit.Term)
		}
		b.compare()
		release()
		b.await("the first in line again", time.Minute, func(v coord.TaskView) bool { return len(v.Line) == 2 })
		b.source.Commit(100)
		b.compare()
	})
}

// A panic in a dump ends the term and not the process: the status says so, the standby takes over, and the first stands in
// line again after a while.
func TestPanicInADump(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		b.start("1", func(c *worker.Config) { c.OpenStore = func(string) (archive.Store, error) { panic("the store's own") } })
		v := b.await("the panic", time.Minute, func(v coord.TaskView) bool { return v.Status.Reason == "panic" })
		if v.Status.State != zkpaths.StateStopped || v.Status.Hint == "" {
			t.Errorf("status %+v", v.Status)
		}
		time.Sleep(10 * time.Minute)
		if n := b.journal.count("leaving the task's line after a panic"); n < 10 || n > 50 {
			t.Errorf("%d panics in ten minutes, want 15 s between two of them in the end", n)
		}
		b.start("2")
		b.await("the second as primary", time.Minute, primary("2"))
		b.await("the first as standby", time.Minute, func(v coord.TaskView) bool { return len(v.Line) == 2 && v.Line[1].ServerID == "1" })
		b.source.Commit(100)
		b.compare()
	})
}

// A panic in a claim, whose checkpoint has to be rebuilt, does the same.
func TestPanicInAClaim(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		b.createTask()
		stop := b.start("2")
		b.source.Commit(100)
		b.compare()
		if err := stop(); err != nil {
			t.Error(err)
		}
		b.remove(zkpaths.Checkpoint(task))
		b.start("1", func(c *worker.Config) { c.OpenStore = func(string) (archive.Store, error) { panic("the store's own") } })
		b.await("the panic", time.Minute, func(v coord.TaskView) bool {
			return v.Status.Reason == "panic" && v.Status.State == zkpaths.StateStopped
		})
		b.start("2")
		b.await("the second as primary", time.Minute, primary("2"))
		b.compare()
	})
}
