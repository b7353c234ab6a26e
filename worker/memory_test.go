package worker_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/coord"
	"binkeeper/internal/mysqltest"
	"binkeeper/internal/zktest"
	"binkeeper/worker"
	"binkeeper/zkpaths"

	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"
)

// A bubble is workers on a source and an ensemble in memory, in virtual time, with archives in a folder.
type bubble struct {
	t        *testing.T
	ensemble *zktest.Server
	source   *mysqltest.Source
	dir      string // of the archives
	sess     *coord.Session
	journal  journal // what the workers have logged
}

// inBubble runs a test with a session of its own and no worker yet.
func inBubble(t *testing.T, test func(*testing.T, *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, ensemble: zktest.New(zktest.Options{}), source: mysqltest.New(mysqltest.Identity{UUID: "3e11fa47-71ca-11e1-9e33-c80aa9429562", ServerID: 7}), dir: t.TempDir()}
		t.Cleanup(b.ensemble.Close)
		t.Cleanup(b.source.Close)
		sess, err := coord.Open(t.Context(), b.zooKeeper())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(sess.Close)
		b.sess = sess
		test(t, b)
	})
}

func (b *bubble) zooKeeper() coord.Config {
	return coord.Config{Servers: []string{"127.0.0.1:2181"}, Dial: b.ensemble.Dial, Logger: zerolog.Nop()}
}

// task is the id of a bubble's task.
const task = "orders"

func (b *bubble) createTask() {
	b.t.Helper()
	spec := zkpaths.Spec{
		Source: "mysql://" + mysqltest.User + "@127.0.0.1:3306", PasswordRef: "env:NONE", Archive: "file://" + b.dir, Start: "earliest",
		SegmentSize: 1 << 20, FlushInterval: zkpaths.Duration(time.Second), CheckpointInterval: zkpaths.Duration(time.Second),
		Desired: zkpaths.Running, TaskUID: "uid", ReplicaUUID: "33333333-3333-3333-3333-333333333333", ReplicaServerID: 4711, CreatedAt: zkpaths.At(time.Now()),
	}
	if err := b.sess.CreateTask(b.t.Context(), task, spec); err != nil {
		b.t.Fatal(err)
	}
}

// worker makes a worker that does not run yet.
func (b *bubble) worker(serverID string, changes ...func(*worker.Config)) *worker.Worker {
	b.t.Helper()
	logger := zerolog.New(zerolog.MultiLevelWriter(zerolog.NewTestWriter(b.t), &b.journal)).With().Timestamp().Logger().Level(zerolog.InfoLevel)
	cfg := worker.Config{
		ServerID: serverID, ZooKeeper: b.zooKeeper(), DialSource: b.source.Dial, Logger: logger,
		OpenStore:       func(string) (archive.Store, error) { return dirstore.Open(b.dir) },
		ResolvePassword: func(string) (string, []string, error) { return mysqltest.Password, nil, nil },
	}
	for _, change := range changes {
		change(&cfg)
	}
	w, err := worker.New(cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	return w
}

// start runs a worker until the test ends or stop is called, which waits and returns what Run has.
func (b *bubble) start(serverID string, changes ...func(*worker.Config)) (stop func() error) {
	b.t.Helper()
	return b.run(serverID, b.worker(serverID, changes...))
}

func (b *bubble) run(serverID string, w *worker.Worker) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	b.t.Cleanup(func() {
		if err := stop(); err != nil {
			b.t.Errorf("worker %s: %v", serverID, err)
		}
	})
	return stop
}

// startTwo starts two workers and waits until the first is primary with the second as its standby.
func (b *bubble) startTwo(changes ...func(*worker.Config)) (stopFirst, stopSecond func() error) {
	b.t.Helper()
	stopFirst = b.start("1", changes...)
	b.await("the first as primary", time.Minute, primary("1"))
	stopSecond = b.start("2", changes...)
	b.await("a standby", time.Minute, func(v coord.TaskView) bool { return len(v.Line) == 2 })
	return stopFirst, stopSecond
}

// await waits until the task looks as wanted, in virtual time.
func (b *bubble) await(what string, within time.Duration, wanted func(coord.TaskView) bool) coord.TaskView {
	b.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(100 * time.Millisecond) {
		v, err := b.sess.Look(b.t.Context(), task)
		if err == nil && wanted(v) {
			return v
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s has not come within %s: status %+v, checkpoint %+v (%v)", what, within, v.Status, v.LastCommit, err)
		}
	}
}

func (b *bubble) look() coord.TaskView {
	b.t.Helper()
	return b.await("a look", 0, func(coord.TaskView) bool { return true })
}

// order changes the spec as an operator does.
func (b *bubble) order(change func(*zkpaths.Spec)) {
	b.t.Helper()
	if _, err := b.sess.UpdateSpec(b.t.Context(), task, func(s *zkpaths.Spec) error { change(s); return nil }); err != nil {
		b.t.Fatal(err)
	}
}

// openAnew opens the test's own session anew.
func (b *bubble) openAnew() {
	b.t.Helper()
	b.sess.Close()
	sess, err := coord.Open(b.t.Context(), b.zooKeeper())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(sess.Close)
	b.sess = sess
}

// vanished gives what the only worker misses.
func (b *bubble) vanished() []string {
	b.t.Helper()
	workers, err := b.sess.Workers(b.t.Context())
	if err != nil || len(workers) != 1 {
		b.t.Fatalf("workers %+v, %v", workers, err)
	}
	return workers[0].Worker.Vanished
}

// byHand does what an administrator does with a ZooKeeper client.
func (b *bubble) byHand(do func(*zk.Conn) error) {
	b.t.Helper()
	c, events, err := zk.Connect([]string{"127.0.0.1:2181"}, 10*time.Second, zk.WithDialer(b.ensemble.Dial), zk.WithLogger(log.New(io.Discard, "", 0)), zk.WithLogInfo(false))
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	for e := range events {
		if e.State == zk.StateHasSession {
			break
		}
	}
	if err := do(c); err != nil {
		b.t.Fatal(err)
	}
}

// remove deletes znodes.
func (b *bubble) remove(paths ...string) {
	b.t.Helper()
	b.byHand(func(c *zk.Conn) error {
		var ops []any
		for _, path := range paths {
			ops = append(ops, &zk.DeleteRequest{Path: path, Version: -1})
		}
		_, err := c.Multi(ops...)
		return err
	})
}

// accept answers the block that the status names.
func (b *bubble) accept(answer string) {
	b.t.Helper()
	v := b.look()
	b.order(func(s *zkpaths.Spec) {
		s.Accept = &zkpaths.Accept{
			Answer: answer, Timeline: v.LastCommit.Timeline, File: v.LastCommit.File, Position: v.LastCommit.Position,
			Reason: v.Status.Reason, Server: v.Status.SeenServer, At: zkpaths.At(time.Now()),
		}
	})
}

// compare waits until the checkpoint is at the source's end, and compares the newest timeline with the source's files,
// byte by byte.
func (b *bubble) compare() coord.TaskView {
	b.t.Helper()
	files := b.source.Files()
	live := files[len(files)-1]
	v := b.await("the archive of "+live, time.Minute, func(v coord.TaskView) bool {
		return v.LastCommit.File == live && v.LastCommit.Position == int64(len(b.source.File(live)))
	})
	arch, out := b.archive(), b.t.TempDir()
	if err := arch.Export(b.t.Context(), out, archive.Newest, nil); err != nil {
		b.t.Fatal(err)
	}
	for _, file := range files {
		if got, err := os.ReadFile(filepath.Join(out, file)); err != nil || !bytes.Equal(got, b.source.File(file)) {
			b.t.Errorf("%s: the archive's %d bytes differ from the source's %d (%v)", file, len(got), len(b.source.File(file)), err)
		}
	}
	if report, err := arch.Verify(b.t.Context(), nil); err != nil || len(report.Problems) > 0 {
		b.t.Errorf("verify: %+v, %v", report, err)
	}
	return v
}

func (b *bubble) archive() *archive.Archive {
	b.t.Helper()
	store, err := dirstore.Open(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	return archive.New(store, task)
}

// timelines are those of the archive, oldest first.
func (b *bubble) timelines() []archive.Timeline {
	b.t.Helper()
	timelines, err := b.archive().Timelines(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return timelines
}

// objects are the files of the archives.
func (b *bubble) objects() []string {
	b.t.Helper()
	var names []string
	for _, pattern := range []string{"*", "*/*", "*/*/*", "*/*/*/*"} {
		found, err := filepath.Glob(filepath.Join(b.dir, pattern))
		if err != nil {
			b.t.Fatal(err)
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	return names
}

func running(v coord.TaskView) bool { return v.Status.State == zkpaths.StateRunning }

// primary wants the task to be archived by one worker.
func primary(serverID string) func(coord.TaskView) bool {
	return func(v coord.TaskView) bool { return running(v) && v.Status.ServerID == serverID }
}

func blocked(reason string) func(coord.TaskView) bool {
	return func(v coord.TaskView) bool {
		return v.Status.State == zkpaths.StateBlocked && v.Status.Reason == reason
	}
}

// A journal keeps what is written to it.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) count(words string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Count(j.text.Bytes(), []byte(words))
}
