//go:build integration

package main

import (
	"bytes"
	"cmp"
	"path/filepath"
	"syscall"
	"time"

	"binkeeper/internal/servers"
)

// start starts a worker, or one that has ended again.
func (s *stage) start(ids ...string) {
	s.t.Helper()
	for _, id := range ids {
		if p := s.workers[id]; p != nil {
			if err := p.Start(s.t.Context()); err != nil {
				s.t.Fatal(err)
			}
			continue
		}
		s.workers[id] = s.spawn("worker-"+id, id)
	}
}

// spawn starts a process with a server id, which need not be its own, and with more in its environment.
func (s *stage) spawn(name, id string, env ...string) *servers.Program {
	s.t.Helper()
	p, err := servers.StartProgram(s.t.Context(), servers.ProgramOptions{
		Name: name, Dir: filepath.Join(s.t.TempDir(), name),
		Command: []string{
			s.program, "--server-id", id, "--zookeeper", cmp.Or(s.via[id], s.zk.Addr()) + s.root, "--session-timeout", s.timeout.String(),
			"--secrets-dir", s.secrets, "--listen", "127.0.0.1:0", "--log-format", "json",
		},
		Env: append(env, "BINKEEPER_SECRET_STAGE="+servers.Password),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(p.Close)
	return p
}

// strike does something to the process of the primary, which has to be alive and primary when it is hit, and returns
// the task as it was then.
func (s *stage) strike(do func(p *servers.Program)) view {
	s.t.Helper()
	v := s.look()
	if !claimed(v, 0) {
		s.t.Fatalf("there is no primary to hit: line %+v, checkpoint %+v", v.Line, v.LastCommit)
	}
	p := s.workers[v.Line[0].ServerID]
	if !p.Running() || p.Pid() != v.Line[0].Instance.PID {
		s.t.Fatalf("the primary is process %d, not %d (running: %t)", v.Line[0].Instance.PID, p.Pid(), p.Running())
	}
	do(p)
	return v
}

// killPrimary ends the primary with kill -9.
func (s *stage) killPrimary() view {
	s.t.Helper()
	v := s.strike((*servers.Program).Kill)
	s.wantKilled(v.Line[0].ServerID)
	return v
}

func (s *stage) wantKilled(id string) {
	s.t.Helper()
	if code := s.workers[id].ExitCode(); code != -1 {
		s.t.Fatalf("worker %s ended with exit code %d before it was killed\n%s", id, code, s.logOf(id))
	}
}

// terminate asks a worker to end in good order, and waits for that.
func (s *stage) terminate(id string) {
	s.t.Helper()
	p := s.workers[id]
	if !p.Running() {
		s.t.Fatalf("worker %s is not running\n%s", id, s.logOf(id))
	}
	if err := p.Stop(); err != nil {
		s.t.Fatalf("%v\n%s", err, s.logOf(id))
	}
	if code := p.ExitCode(); code != 0 {
		s.t.Errorf("worker %s ended with exit code %d after SIGTERM, want 0\n%s", id, code, s.logOf(id))
	}
}

// signal sends a signal to a worker that runs.
func (s *stage) signal(p *servers.Program, sig syscall.Signal) {
	s.t.Helper()
	if !p.Running() {
		s.t.Fatalf("it is not running: exit code %d\n%s", p.ExitCode(), read(s.t, p.Log()))
	}
	if err := syscall.Kill(p.Pid(), sig); err != nil {
		s.t.Fatal(err)
	}
}

// awaitExit waits until a process has ended.
func (s *stage) awaitExit(p *servers.Program, within time.Duration) {
	s.t.Helper()
	for deadline := time.Now().Add(within); p.Running(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("the worker goes on after %s\n%s", within, read(s.t, p.Log()))
		}
	}
}

// endWorkers ends every worker in good order, and wants none to have raced or panicked.
func (s *stage) endWorkers() {
	for id, p := range s.workers {
		if p.Running() {
			if err := p.Stop(); err != nil {
				s.t.Error(err)
			}
		}
		if code := p.ExitCode(); code != s.expected[id] && code != -1 {
			s.t.Errorf("worker %s ended with exit code %d, want %d", id, code, s.expected[id])
		}
		if log := read(s.t, p.Log()); bytes.Contains(log, []byte("DATA RACE")) || bytes.Contains(log, []byte("panic: ")) {
			s.t.Errorf("worker %s raced or panicked", id)
		}
		if s.t.Failed() {
			s.t.Logf("log of worker %s:\n%s", id, s.logOf(id))
		}
	}
}

// logOf is the end of a worker's log.
func (s *stage) logOf(id string) []byte {
	const size = 6 << 10 // bytes
	log := read(s.t, s.workers[id].Log())
	return log[max(0, len(log)-size):]
}

// awaitLog waits until a worker has logged a text n times in all its runs.
func (s *stage) awaitLog(id string, n int, text string) {
	s.t.Helper()
	p := s.workers[id]
	for deadline := time.Now().Add(patience); bytes.Count(read(s.t, p.Log()), []byte(text)) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("worker %s has not logged %s within %s\n%s", id, text, patience, s.logOf(id))
		}
	}
}
