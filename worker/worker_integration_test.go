//go:build integration

package worker_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/internal/stores"
	"binkeeper/worker"
	"binkeeper/zkpaths"

	"github.com/rs/zerolog"
)

// A fleet is workers in this process, on a real source and a real ensemble.
type fleet struct {
	t    *testing.T
	zk   *servers.ZooKeeper
	src  *servers.Source
	dir  string // of the archive
	sess *coord.Session
	cfg  coord.Config
}

func newFleet(t *testing.T, kind servers.Kind, args ...string) *fleet {
	f := &fleet{t: t, zk: servertest.StartZooKeeper(t, 1), src: servertest.StartSource(t, kind, args...), dir: t.TempDir()}
	f.cfg = coord.Config{Servers: []string{f.zk.Addr()}, Timeout: 4 * time.Second, Logger: zerolog.Nop()}
	sess, err := coord.Open(t.Context(), f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sess.Close)
	f.sess = sess
	t.Setenv("FLEET_PASSWORD", servers.Password)
	return f
}

func (f *fleet) createTask(id string) {
	f.t.Helper()
	spec := zkpaths.Spec{
		Source: f.src.URL(), PasswordRef: "env:FLEET_PASSWORD", Archive: "file://" + f.dir, Start: "earliest",
		SegmentSize: 1 << 20, FlushInterval: zkpaths.Duration(200 * time.Millisecond), CheckpointInterval: zkpaths.Duration(100 * time.Millisecond),
		Desired: zkpaths.Running, TaskUID: "uid-" + id, ReplicaUUID: "33333333-3333-3333-3333-333333333333", ReplicaServerID: 4711, CreatedAt: zkpaths.At(time.Now()),
	}
	if err := f.sess.CreateTask(f.t.Context(), id, spec); err != nil {
		f.t.Fatal(err)
	}
}

// start runs a worker until the test ends or stop is called, which waits.
func (f *fleet) start(serverID string) (stop func()) {
	f.t.Helper()
	return f.startWith(serverID, stores.Open)
}

func (f *fleet) startWith(serverID string, open func(string) (archive.Store, error), options ...func(*worker.Worker)) (stop func()) {
	f.t.Helper()
	log := zerolog.New(zerolog.NewTestWriter(f.t)).With().Timestamp().Logger().Level(zerolog.InfoLevel)
	cfg := f.cfg
	cfg.Logger = log
	w, err := worker.New(worker.Config{ServerID: serverID, ZooKeeper: cfg, OpenStore: open, Logger: log})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, option := range options {
		option(w)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("worker %s: %v", serverID, err)
		}
	}
	f.t.Cleanup(stop)
	return stop
}

// await waits until the task looks as wanted.
func (f *fleet) await(id, what string, within time.Duration, wanted func(coord.TaskView) bool) coord.TaskView {
	f.t.Helper()
	deadline := time.Now().Add(within)
	for {
		v, err := f.sess.Look(f.t.Context(), id)
		if err == nil && wanted(v) {
			return v
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("%s has not come within %s: status %+v, checkpoint %+v (%v)", what, within, v.Status, v.LastCommit, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (f *fleet) write(transactions int) {
	f.t.Helper()
	if err := f.src.Exec(f.t.Context(), "CREATE DATABASE IF NOT EXISTS shop", "CREATE TABLE IF NOT EXISTS shop.orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(200))"); err != nil {
		f.t.Fatal(err)
	}
	for i := range transactions {
		if err := f.src.Exec(f.t.Context(), fmt.Sprintf("INSERT INTO shop.orders (note) VALUES (REPEAT('%d', 20))", i)); err != nil {
			f.t.Fatal(err)
		}
	}
}

// compare waits until all closed files of the source are archived, and compares
// every byte of them.
func (f *fleet) compare(id string) {
	f.t.Helper()
	if err := f.src.Exec(f.t.Context(), "FLUSH BINARY LOGS"); err != nil {
		f.t.Fatal(err)
	}
	files, err := f.src.BinlogFiles()
	if err != nil {
		f.t.Fatal(err)
	}
	live := filepath.Base(files[len(files)-1])
	f.await(id, "the archive of "+live, 30*time.Second, func(v coord.TaskView) bool { return v.LastCommit.File == live })
	store, err := dirstore.Open(f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	out := f.t.TempDir()
	if err := archive.New(store, id).Export(f.t.Context(), out, archive.Newest, nil); err != nil {
		f.t.Fatal(err)
	}
	for _, file := range files[:len(files)-1] {
		want, err := os.ReadFile(file)
		if err != nil {
			f.t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(out, filepath.Base(file)))
		if err != nil {
			f.t.Fatal(err)
		}
		if string(got) != string(want) {
			f.t.Errorf("%s: the archive's %d bytes differ from the source's %d", filepath.Base(file), len(got), len(want))
		}
	}
	report, err := archive.New(store, id).Verify(f.t.Context())
	if err != nil || len(report.Problems) > 0 {
		f.t.Errorf("verify: %+v, %v", report, err)
	}
}

func running(v coord.TaskView) bool { return v.Status.State == zkpaths.StateRunning }

func TestWorkerArchivesEverySource(t *testing.T) {
	for _, kind := range servers.Kinds {
		t.Run(fmt.Sprint(kind), func(t *testing.T) {
			f := newFleet(t, kind)
			f.createTask("orders")
			f.start("1")
			f.await("orders", "running", 20*time.Second, running)
			for range 3 {
				f.write(50)
				if err := f.src.Exec(t.Context(), "FLUSH BINARY LOGS"); err != nil {
					t.Fatal(err)
				}
			}
			f.compare("orders")
		})
	}
}
