//go:build integration

package main

import (
	"testing"

	"binkeeper/internal/servers"
)

// Workers that are told to end hand over in good order, under load.
func TestTerminatedPrimary(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=1M")
	s.timeout = lasting
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	var term int64
	for range 12 {
		v := s.awaitServing(term)
		s.await("a standby", func(v view) bool { return len(v.Line) == 2 })
		term = v.LastCommit.Term
		id := v.Line[0].ServerID
		s.strike(func(*servers.Program) { s.terminate(id) })
		if left := s.look(); len(left.Line) > 0 && left.Line[0].Name == v.Line[0].Name {
			t.Errorf("worker %s has ended in order, and left its instance behind", id)
		}
		s.start(id)
	}
	s.awaitServing(term)
	l.stop()
	s.compare()
}
