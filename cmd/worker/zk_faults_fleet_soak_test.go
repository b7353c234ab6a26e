//go:build faults && soak

//faults:zookeeper

package main

import (
	"fmt"
	"testing"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// manyTasks is how many tasks one worker serves.
const manyTasks = 1000

// A worker with very many tasks is killed: the other takes all of them over, with no more connections to the source for
// each than a begin needs.
func TestSoakWorkerOfManyTasksIsKilled(t *testing.T) {
	const perTask = 4 // connections: to look, to dump, to look at what the archive has of it; and one to spare
	s := newStage(t, servers.MySQL, "--max-connections=4000", "--open-files-limit=16000", "--max-binlog-size=1M")
	s.program = plainProgram()
	var ids []string
	for n := range manyTasks {
		id := fmt.Sprintf("task-%04d", n)
		s.createNamed(id, n)
		ids = append(ids, id)
	}
	s.start("1")
	all := func(what string, wanted func(view) bool) {
		for _, id := range ids {
			s.awaitNamed(id, what, wanted)
		}
	}
	all("the first as primary", func(v view) bool { return servedBy(v, "1", 0) })
	s.start("2")
	all("a standby", func(v view) bool { return len(v.Line) == 2 })
	l := startLoad(t, s.src)
	l.await(100)
	l.stop()
	all("the first as primary", func(v view) bool { return servedBy(v, "1", 0) })

	c := newClient(t, s.src)
	before := c.connections()
	s.workers["1"].Kill()
	s.wantKilled("1")
	killed := time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		all("the second as primary", func(v view) bool { return servedBy(v, "2", 1) })
	}()
	most, last := int64(0), before
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(time.Second):
		}
		now := c.connections()
		most, last = max(most, now-last), now
	}
	t.Logf("%d tasks taken over %s after the kill; %d connections, %d in a second at most", manyTasks, time.Since(killed), last-before, most)
	if n := last - before; n > perTask*manyTasks {
		t.Errorf("%d connections were made for %d tasks, want %d each at most", n, manyTasks, perTask)
	}
}

func servedBy(v view, server string, term int64) bool {
	return claimed(v, term) && v.Line[0].ServerID == server && v.Status.State == zkpaths.StateRunning && v.Status.Instance == v.Line[0].Name
}

// createNamed creates the nth task on the stage's source and store.
func (s *stage) createNamed(id string, n int) {
	s.t.Helper()
	spec := zkpaths.Spec{
		Source: s.src.URL(), PasswordRef: "env:BINKEEPER_SECRET_STAGE", Archive: "file://" + s.dir, Start: "earliest", SegmentSize: 1 << 20,
		FlushInterval: zkpaths.Duration(time.Second), CheckpointInterval: zkpaths.Duration(time.Second),
		Desired: zkpaths.Running, TaskUID: "uid-" + id, ReplicaUUID: fmt.Sprintf("33333333-3333-3333-3333-%012d", n),
		ReplicaServerID: uint32(100_000 + n), CreatedAt: zkpaths.At(time.Now()),
	}
	must(s.t, s.sess.CreateTask(s.t.Context(), id, spec))
}

// awaitNamed is await for one task of many.
func (s *stage) awaitNamed(id, what string, wanted func(view) bool) {
	deadline := time.Now().Add(5 * time.Minute)
	for {
		v, err := s.sess.Look(s.t.Context(), id)
		if err == nil && wanted(v) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Errorf("%s: %s has not come: %+v (%v)", id, what, coord.TaskView(v), err)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// connections is how many connections the source has ever been asked for.
func (c *client) connections() (n int64) {
	c.t.Helper()
	var name string
	must(c.t, c.conn.QueryRowContext(c.t.Context(), "SHOW GLOBAL STATUS LIKE 'Connections'").Scan(&name, &n))
	return n
}
