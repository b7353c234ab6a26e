//go:build faults

//faults:zookeeper

package worker_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/zkpaths"

	"github.com/go-zookeeper/zk"
)

// A primary whose task's znodes are deleted says so, leaves the archive alone, and
// goes on with it when the task is created again; a removal is no loss.
func TestTaskVanishes(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	f.start("1")
	f.write(20)
	f.await("orders", "a checkpoint", 20*time.Second, func(v coord.TaskView) bool { return running(v) && v.LastCommit.Position > 0 })
	hand, _, err := zk.Connect(f.cfg.Servers, 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer hand.Close()
	f.wipe(hand, zkpaths.Task("orders"))
	const lost = "the task has vanished"
	f.eventually(lost, 5*time.Second, func() bool { return f.journal.count(lost) > 0 && slices.Equal(f.vanished(), []string{"orders"}) })

	before := f.objects()
	f.write(20)
	time.Sleep(2 * time.Second) // in which there would be segments
	if after := f.objects(); !slices.Equal(after, before) {
		t.Errorf("the archive of a task that has vanished was %q and is %q", before, after)
	}
	f.createTask("orders") // with the same task_uid: as `task create` takes an archive over
	f.await("orders", "archiving again", 10*time.Second, running)
	f.compare("orders")
	f.eventually("word that nothing has vanished", 5*time.Second, func() bool { return len(f.vanished()) == 0 })
	if n := len(f.timelines("orders")); n != 1 {
		t.Errorf("%d timelines, want 1", n)
	}
	f.change("orders", func(s *zkpaths.Spec) { s.Desired = zkpaths.Removed })
	f.eventually("the removal", 5*time.Second, func() bool {
		ids, err := f.sess.Tasks(t.Context())
		return err == nil && len(ids) == 0
	})
	f.createTask("users")
	f.await("users", "the next task", 10*time.Second, func(v coord.TaskView) bool { return len(v.Line) > 0 })
	if n := f.journal.count(lost); n != 1 || len(f.vanished()) != 0 {
		t.Errorf("a loss was logged %d times; %q are missed", n, f.vanished())
	}
}

// The ensemble comes back without its data: the worker misses its task, and goes on
// with the archive when the task is created again.
func TestEnsembleWithoutItsData(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	zooKeeper := servertest.StartZooKeeper(t, 1)
	f.cfg.Servers = []string{zooKeeper.Addr()}
	f.open()
	f.createTask("orders")
	f.start("1")
	f.write(20)
	f.await("orders", "a checkpoint", 20*time.Second, func(v coord.TaskView) bool { return running(v) && v.LastCommit.Position > 0 })
	server := zooKeeper.Servers()[0]
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(server.DataDir(), "version-2")); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.open()
	f.eventually("word of the loss", 30*time.Second, func() bool { return f.journal.count("the task has vanished") == 1 })
	f.write(20)
	f.createTask("orders")
	f.await("orders", "archiving again", 20*time.Second, running)
	f.compare("orders")
	if n := len(f.timelines("orders")); n != 1 {
		t.Errorf("%d timelines, want 1", n)
	}
}

// open makes the test's own session anew.
func (f *fleet) open() {
	f.t.Helper()
	f.sess.Close()
	var err error
	if f.sess, err = coord.Open(f.t.Context(), f.cfg); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(f.sess.Close)
}

// vanished gives what the only worker misses.
func (f *fleet) vanished() []string {
	f.t.Helper()
	workers, err := f.sess.Workers(f.t.Context())
	if err != nil || len(workers) != 1 {
		f.t.Fatalf("workers %+v, %v", workers, err)
	}
	return workers[0].Worker.Vanished
}

func (f *fleet) eventually(what string, within time.Duration, is func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(within); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("%s has not come within %s", what, within)
		}
	}
}

// wipe deletes a znode by hand with all below it, also what comes meanwhile.
func (f *fleet) wipe(hand *zk.Conn, path string) {
	f.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		children, _, _ := hand.Children(f.cfg.Root + path)
		for _, child := range children {
			f.wipe(hand, path+"/"+child)
		}
		err := hand.Delete(f.cfg.Root+path, -1)
		if err == nil || err == zk.ErrNoNode {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatal(err)
		}
	}
}

// objects are the files of the archive.
func (f *fleet) objects() []string {
	f.t.Helper()
	var names []string
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return names
}
