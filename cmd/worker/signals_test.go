//go:build faults

//faults:worker

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"binkeeper/internal/servers"
)

// SIGTERM at once, and while the worker catches up, is an orderly end.
func TestTerminatedEarly(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--max-binlog-size=8M", "--sync-binlog=0")
	s.createTask()
	backlog(t, s.src, 120)
	for n := range 6 {
		s.start("1")
		s.awaitLog("1", n+1, `"worker starts"`)
		<-time.After(time.Duration(n) * 30 * time.Millisecond)
		s.terminate("1")
	}
	var caught int
	for caught < 4 {
		end := s.look().LastCommit
		s.start("1")
		v := s.await("catching up", func(v view) bool {
			return v.LastCommit.File != "" && (v.LastCommit.File != end.File || v.LastCommit.Position != end.Position)
		})
		if files := s.binlogFiles(); v.LastCommit.File == filepath.Base(files[len(files)-1]) {
			t.Fatalf("the worker had caught up before it was told to end, after %d times", caught)
		}
		s.terminate("1")
		caught++
	}
	s.start("1")
	s.compare()
}

// A second SIGTERM ends a worker at once that cannot end in order.
func TestTerminatedTwice(t *testing.T) {
	t.Parallel()
	s := newStageAlone(t, servers.MySQL)
	s.createTask()
	s.start("1")
	l := startLoad(t, s.src)
	s.awaitServing(0)
	must(t, s.zk.Servers()[0].Pause()) // a hand-over waits for it
	p := s.workers["1"]
	s.signal(p, syscall.SIGTERM)
	<-time.After(sessionTimeout / 4)
	s.signal(p, syscall.SIGTERM)
	s.awaitExit(p, patience)
	if code := p.ExitCode(); code != 143 {
		t.Errorf("exit code %d after a second SIGTERM, want 143", code)
	}
	s.expected["1"] = 143
	must(t, s.zk.Servers()[0].Continue())
	s.start("2")
	s.awaitServing(1)
	l.stop()
	s.compare()
}

func TestServerIDTaken(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL)
	s.createTask()
	s.timeout = lasting
	s.start("1")
	s.timeout = sessionTimeout
	v := s.awaitServing(0)
	began := time.Now()
	second := s.spawn("second", "1")
	s.awaitExit(second, patience)
	if took := time.Since(began); took < sessionTimeout {
		t.Errorf("it gave up after %s: a holder that has just died lives as long as its session, %s", took, sessionTimeout)
	}
	if code := second.ExitCode(); code != 5 {
		t.Errorf("exit code %d, want 5", code)
	}
	log := string(read(t, second.Log()))
	if holder := fmt.Sprintf("process %d on ", s.workers["1"].Pid()); !strings.Contains(log, holder) || !strings.Contains(log, "\nhint: ") {
		t.Errorf("no %q, or no hint, in:\n%s", holder, log)
	}
	if now := s.look(); now.LastCommit.Term != v.LastCommit.Term || len(now.Line) != 1 || now.Line[0].Name != v.Line[0].Name {
		t.Errorf("the first one was disturbed: %+v, term %d", now.Line, now.LastCommit.Term)
	}
	s.compare()
}
