//go:build faults

//faults:archive

package worker_test

import (
	"context"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/stores"
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
	old.start("1")
	old.write(20)
	old.compare("orders")
	anew := old.inAnotherEnsemble()
	anew.adopt("orders", "uid-anew")
	anew.start("1")
	anew.await("orders", "running", 20*time.Second, running)
	// The old one's dump is open until it loses an append.
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
// and right before the timeline. Neither is begun.
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
	f.start("1")
	f.compare("orders")
}
