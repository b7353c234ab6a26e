//go:build faults

//faults:archive

package worker_test

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/stores"
	"binkeeper/worker"
	"binkeeper/zkpaths"
)

// inAnotherEnsemble is a second fleet that knows nothing of f, with the same source and
// the same folder.
func (f *fleet) inAnotherEnsemble() *fleet {
	f.t.Helper()
	other := &fleet{t: f.t, src: f.src, dir: f.dir, cfg: f.cfg}
	other.cfg.Root += "-elsewhere"
	sess, err := coord.Open(f.t.Context(), other.cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(sess.Close)
	other.sess = sess
	return other
}

func (f *fleet) archive(id string) *archive.Archive {
	f.t.Helper()
	store, err := dirstore.Open(f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	return archive.New(store, id)
}

// adopt makes a task of an archive that there is, as task create does.
func (f *fleet) adopt(id, uid string, edits ...func(*zkpaths.Spec)) {
	f.t.Helper()
	if _, err := f.archive(id).Adopt(f.t.Context(), archive.Owner{TaskUID: uid, CreatedAt: time.Now()}); err != nil {
		f.t.Fatal(err)
	}
	f.createTask(id, append(edits, func(s *zkpaths.Spec) {
		s.TaskUID, s.ReplicaUUID, s.ReplicaServerID = uid, "44444444-3333-3333-3333-333333333333", 4712
	})...)
}

// A task is created in another ensemble on the archive of one that is alive: the archive
// is the new one's, and the old one, which knows nothing of that, stops writing there.
func TestAdoptedElsewhere(t *testing.T) {
	t.Parallel()
	old := newFleet(t, servers.MySQL)
	old.createTask("orders")
	old.startWith("1", stores.Open, func(w *worker.Worker) { w.AskAddress(time.Second, 300*time.Millisecond) })
	old.write(20)
	old.compare("orders")
	anew := old.inAnotherEnsemble()
	anew.adopt("orders", "uid-anew")
	anew.start("1")
	anew.await("orders", "running", 20*time.Second, running)
	// The old one's dump is open until it loses an append, or has looked.
	for deadline := time.Now().Add(20 * time.Second); ; {
		old.write(1)
		v, err := old.sess.Look(t.Context(), "orders")
		if err == nil && v.Status.State == zkpaths.StateBlocked {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the task is alive in two ensembles, and the old one is %+v (%v)", v.Status, err)
		}
	}
	old.awaitBlocked("orders", zkpaths.BlockedOtherTask)
	anew.write(20)
	anew.compare("orders")
	if v, err := old.sess.Look(t.Context(), "orders"); err != nil || v.Status.State != zkpaths.StateBlocked {
		t.Errorf("the old task is %+v (%v), want it blocked still", v.Status, err)
	}
	if n := len(old.timelines("orders")); n != 1 {
		t.Errorf("%d timelines, want 1", n)
	}
}

// A listening store does something right before it lists the owners for the n-th time.
type listening struct {
	archive.Store
	looks *atomic.Int64
	n     int64
	then  func()
}

func (l listening) List(ctx context.Context, dir, after string) iter.Seq2[archive.Entry, error] {
	if strings.HasSuffix(dir, "/owners") && l.looks.Add(1) == l.n {
		l.then()
	}
	return l.Store.List(ctx, dir, after)
}

// An archive is taken over in the middle of a primary's beginning: right before the dump,
// and right before the timeline. Neither is begun; and a dump that is open ends.
func TestAdoptedMeanwhile(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	f.write(5)
	var looks atomic.Int64
	takenOver := func(n int64) func() {
		t.Helper()
		looks.Store(0)
		then := func() {
			if _, err := f.archive("orders").Adopt(context.Background(), archive.Owner{TaskUID: "uid-anew", CreatedAt: time.Now()}); err != nil {
				t.Error(err)
			}
		}
		stop := f.startWith("1", func(url string) (archive.Store, error) {
			store, err := stores.Open(url)
			return listening{store, &looks, n, then}, err
		})
		f.awaitBlocked("orders", zkpaths.BlockedOtherTask)
		if v, err := f.sess.Look(t.Context(), "orders"); err != nil || !strings.Contains(v.Status.Detail, "uid-anew") {
			t.Errorf("blocked with %q (%v), want it to name the owner", v.Status.Detail, err)
		}
		return stop
	}
	giveBack := func() {
		t.Helper()
		owner, err := f.archive("orders").Owner(t.Context())
		if err == nil {
			err = f.archive("orders").Disown(t.Context(), owner)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// The archive's end is looked for, the dump begins, the timeline begins.
	stop := takenOver(3)
	if timelines := f.timelines("orders"); len(timelines) != 0 {
		t.Errorf("a timeline was begun in another task's archive: %+v", timelines)
	}
	stop()
	giveBack()
	stop = f.start("1")
	f.compare("orders")
	stop()
	stop = takenOver(2)
	v, err := f.sess.Look(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	if last := v.Status.Transitions[len(v.Status.Transitions)-1]; last.From != zkpaths.StateStarting {
		t.Errorf("the dump was open: %+v", v.Status.Transitions)
	}
	stop()
	giveBack()
	// The dump is open, and idle: it is not told.
	f.startWith("1", stores.Open, func(w *worker.Worker) { w.AskAddress(time.Second, time.Minute) })
	f.compare("orders")
	if _, err := f.archive("orders").Adopt(t.Context(), archive.Owner{TaskUID: "uid-anew", CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	f.awaitBlocked("orders", zkpaths.BlockedOtherTask)
}

// A task is created in the shared folder; a worker whose host has not mounted that begins
// nothing in the empty folder below, and goes on when it is mounted.
func TestUnmountedIsNotFilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders", func(s *zkpaths.Spec) { s.Owner = true })
	f.write(5)
	f.start("1")
	f.awaitBlocked("orders", zkpaths.BlockedArchiveBehind)
	f.accept("orders", zkpaths.AcceptArchive)
	f.lookAgain("orders")
	f.awaitBlocked("orders", zkpaths.BlockedArchiveBehind)
	if entries, err := os.ReadDir(f.dir); err != nil || len(entries) != 0 {
		t.Errorf("something was written to the wrong folder: %v, %v", entries, err)
	}
	if _, err := f.archive("orders").CreateOwner(t.Context(), archive.Owner{TaskUID: "uid-orders", CreatedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	f.lookAgain("orders")
	f.await("orders", "running", 20*time.Second, running)
	f.compare("orders")
}

// A worker that has come to something notes in the spec that the archive has an owner; an
// operator who writes at the same time is not overwritten, nor is what a later version has
// put there.
func TestOwnerIsNoted(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	f.write(5)
	stop := f.start("1")
	noted := f.await("orders", "the note", 20*time.Second, func(v coord.TaskView) bool { return v.Spec.Owner })
	if noted.SpecVersion != 1 {
		t.Errorf("the spec was written %d times", noted.SpecVersion)
	}
	f.compare("orders")
	if v, err := f.sess.Look(t.Context(), "orders"); err != nil || v.SpecVersion != 1 || v.Status.Reconnects != 0 {
		t.Errorf("spec version %d, %d reconnects, %v; want one write, and no new dump", v.SpecVersion, v.Status.Reconnects, err)
	}
	stop()

	// The archive is lost but for its task.json, and begun again: what is missing since is recorded.
	before := f.await("orders", "a stop", 20*time.Second, func(v coord.TaskView) bool { return len(v.Line) == 0 }).LastCommit
	if err := os.RemoveAll(filepath.Join(f.dir, "orders", "00000001")); err != nil {
		t.Fatal(err)
	}
	f.start("1")
	f.awaitBlocked("orders", zkpaths.BlockedArchiveBehind)
	f.accept("orders", zkpaths.AcceptArchive)
	f.await("orders", "running", 30*time.Second, running)
	f.write(5)
	f.compare("orders")
	want := archive.Place{File: before.File, Position: before.Position}
	if timelines := f.timelines("orders"); len(timelines) != 1 || timelines[0].Reason != archive.ReasonFirst || timelines[0].Gap == nil || timelines[0].Gap.From != want {
		t.Errorf("timelines %+v, want a first one with a gap from %+v", timelines, want)
	}
}
