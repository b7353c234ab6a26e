//go:build integration

package worker_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/coord"
	"binkeeper/internal/secret"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/internal/stores"
	"binkeeper/worker"
	"binkeeper/zkpaths"

	"github.com/rs/zerolog"
)

// ensemble serves all tests of this package, each below a root of its own.
var ensemble *servers.ZooKeeper

// soon is in time for what a watch tells: a worker that has missed it would look again by itself after 20 s.
const soon = 15 * time.Second

// parallelTests is how many of the tests that say so run at a time: most of their time they wait.
const parallelTests = "3"

func TestMain(m *testing.M) { os.Exit(startAndRun(m)) }

func startAndRun(m *testing.M) int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "binkeeper-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ensemble, err = servers.StartZooKeeper(context.Background(), servers.ZooKeeperOptions{Dir: dir, JavaArgs: []string{"-Dzookeeper.forceSync=no", "-Dzookeeper.enforceQuota=true"}})
	err = errors.Join(err, os.Setenv("FLEET_PASSWORD", servers.Password), flag.Set("test.parallel", parallelTests))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer ensemble.Close()
	return m.Run()
}

// A fleet is workers in this process, on a real source and a real ensemble.
type fleet struct {
	t    *testing.T
	src  *servers.Source
	dir  string // of the archive
	sess *coord.Session
	cfg  coord.Config

	journal journal // what the workers have logged
}

func newFleet(t *testing.T, kind servers.Kind, args ...string) *fleet {
	f := &fleet{t: t, src: servertest.StartSource(t, kind, args...), dir: t.TempDir()}
	f.cfg = coord.Config{
		Servers: []string{ensemble.Addr()}, Root: "/" + strings.ReplaceAll(t.Name(), "/", "_"), Timeout: 4 * time.Second, Logger: zerolog.Nop(),
	}
	sess, err := coord.Open(t.Context(), f.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sess.Close)
	f.sess = sess
	return f
}

func (f *fleet) createTask(id string, edits ...func(*zkpaths.Spec)) {
	f.t.Helper()
	spec := zkpaths.Spec{
		Source: f.src.URL(), PasswordRef: "env:FLEET_PASSWORD", Archive: "file://" + f.dir, Start: "earliest",
		SegmentSize: 1 << 20, FlushInterval: zkpaths.Duration(200 * time.Millisecond), CheckpointInterval: zkpaths.Duration(100 * time.Millisecond),
		Desired: zkpaths.Running, TaskUID: "uid-" + id, ReplicaUUID: "33333333-3333-3333-3333-333333333333", ReplicaServerID: 4711, CreatedAt: zkpaths.At(time.Now()),
	}
	for _, edit := range edits {
		edit(&spec)
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
	return f.startAt(f.cfg, serverID, open, options...)
}

// startAt is startWith for a worker that finds ZooKeeper elsewhere.
func (f *fleet) startAt(cfg coord.Config, serverID string, open func(string) (archive.Store, error), options ...func(*worker.Worker)) (stop func()) {
	f.t.Helper()
	log := zerolog.New(zerolog.MultiLevelWriter(zerolog.NewTestWriter(f.t), &f.journal)).With().Timestamp().Logger().Level(zerolog.InfoLevel)
	cfg.Logger = log
	w, err := worker.New(worker.Config{ServerID: serverID, ZooKeeper: cfg, OpenStore: open, ResolvePassword: secret.Resolve, Logger: log})
	if err != nil {
		f.t.Fatal(err)
	}
	w.LookAgain(200 * time.Millisecond)
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

// compare waits until all closed files of the source are archived, in the newest timeline, and compares every byte of
// them. A file of that name may stand in the checkpoint already, from the timeline before.
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
	f.await(id, "the archive of "+live, 30*time.Second, func(v coord.TaskView) bool {
		return v.LastCommit.File == live && v.LastCommit.Timeline == int64(len(f.timelines(id)))
	})
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
	report, err := archive.New(store, id).Verify(f.t.Context(), nil)
	if err != nil || len(report.Problems) > 0 {
		f.t.Errorf("verify: %+v, %v", report, err)
	}
}

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

func (f *fleet) timelines(id string) []archive.Timeline {
	f.t.Helper()
	store, err := dirstore.Open(f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	timelines, err := archive.New(store, id).Timelines(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return timelines
}
