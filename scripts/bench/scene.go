package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/scripts/internal/localstack"
)

// A scene is ZooKeeper, the backlogs that were asked for, and the table so far.
type scene struct {
	options
	stack    localstack.Stack
	zk       *servers.ZooKeeper
	session  *coord.Session
	backlogs map[string]*backlog
	tasks    int // created so far
	report   report
}

// set starts ZooKeeper.
func (s *scene) set(ctx context.Context) (err error) {
	s.backlogs = map[string]*backlog{}
	if err := errors.Join(s.stack.Ready(), s.stack.DrawPorts(), os.MkdirAll(s.stack.SecretsDir(), 0o755)); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(s.stack.ZooKeeperDir()), os.WriteFile(s.password(), []byte(servers.Password), 0o600)); err != nil {
		return err
	}
	if s.zk, err = s.stack.StartZooKeeper(ctx); err != nil {
		return err
	}
	s.session, err = coord.Open(ctx, coord.Config{Servers: []string{s.zk.Addr()}, Timeout: 30 * time.Second, Logger: zerolog.Nop()})
	return err
}

func (s *scene) clear() {
	if s.session != nil {
		s.session.Close()
	}
	for _, b := range s.backlogs {
		b.source.Close()
	}
	if s.zk != nil {
		s.zk.Close()
	}
}

func (s *scene) password() string { return filepath.Join(s.stack.SecretsDir(), "password") }

// out is a folder for what a contender makes.
func (s *scene) out() string { return filepath.Join(s.stack.Dir, "out") }

// backlog returns the backlog of that name, made when asked for first.
func (s *scene) backlog(ctx context.Context, r recipe) (*backlog, error) {
	if b := s.backlogs[r.name]; b != nil {
		return b, nil
	}
	b, err := makeBacklog(ctx, filepath.Join(s.stack.Dir, r.name), r)
	if b != nil {
		s.backlogs[r.name] = b
	}
	return b, err
}

// createTask creates a task with an id of its own, which matches nothing but itself.
func (s *scene) createTask(ctx context.Context, sourceURL, archive string, flags ...string) (id string, err error) {
	s.tasks++
	id = "bench-" + strconv.Itoa(s.tasks)
	if err := os.MkdirAll(archive, 0o755); err != nil {
		return "", err
	}
	_, err = s.stack.Binkeeper(ctx, append([]string{"task", "create", id, "--source", sourceURL,
		"--password-ref", "file:" + s.password(), "--archive", "file://" + archive}, flags...)...)
	return id, err
}

// startWorker starts a worker of the tasks that match the pattern, and does not wait until it is ready.
func (s *scene) startWorker(ctx context.Context, serverID, tasks string, env ...string) (*servers.Program, error) {
	return servers.StartProgram(ctx, servers.ProgramOptions{
		Name: "worker " + serverID, Dir: s.stack.WorkerDir(serverID), Env: env,
		Command: []string{
			filepath.Join(s.programs, "worker"), "--server-id", serverID, "--zookeeper", s.zk.Addr(), "--tasks", tasks,
			"--session-timeout", localstack.SessionTimeout.String(), "--secrets-dir", s.stack.SecretsDir(), "--listen", "127.0.0.1:0", "--log-format", "json",
		},
	})
}

// await looks at the task again and again until it is as wanted.
func (s *scene) await(ctx context.Context, id string, every time.Duration, what string, wanted func(coord.TaskView) bool) (coord.TaskView, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		v, err := s.session.Look(ctx, id)
		if err != nil {
			return v, fmt.Errorf("wait for %s: %w", what, err)
		}
		if wanted(v) {
			return v, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return v, fmt.Errorf("wait for %s: %w; lastCommit is %+v, status %+v", what, ctx.Err(), v.LastCommit, v.Status)
		}
	}
}

// checkpointInterval is that of the tasks that catch up. By default it is 1 s: up to that long is waited for the last
// checkpoint, however much or little there was to do before it.
const checkpointInterval = "100ms"

// worker is the contender that this is all about: a new task, and a worker from its start until the last closed file
// is durable and checkpointed. query is the source's URL's.
func (s *scene) worker(b *backlog, query string, env ...string) contender {
	return func(ctx context.Context) (x sample, err error) {
		if err := os.RemoveAll(s.out()); err != nil {
			return x, err
		}
		id, err := s.createTask(ctx, b.source.URL()+query, s.out(), "--checkpoint-interval", checkpointInterval)
		if err != nil {
			return x, err
		}
		syncDisk()
		began := time.Now()
		w, err := s.startWorker(ctx, "catching-up", id, env...)
		if err != nil {
			return x, err
		}
		defer w.Close()
		if err := s.awaitNewest(ctx, id, b); err != nil {
			return x, fmt.Errorf("%w; see %s", err, w.Log())
		}
		x.took = time.Since(began)
		if x.cpu, err = cpuTime(w.Pid()); err != nil {
			return x, err
		}
		if x.peak, err = memory(w.Pid(), "VmHWM"); err != nil {
			return x, err
		}
		return x, w.Stop()
	}
}

// awaitNewest waits until the backlog's closed files are durable and checkpointed. It asks for one node, and seldom:
// ZooKeeper's answers cost CPU time, which the worker is measured on.
func (s *scene) awaitNewest(ctx context.Context, id string, b *backlog) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	watcher := s.session.Watch()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		last, wrong, err := watcher.LastCommit(ctx, id)
		if err = errors.Join(wrong, err); err != nil {
			return fmt.Errorf("wait for the archive of %s: %w", b.name, err)
		}
		if last.File == b.newest {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the archive of %s: %w; lastCommit is %+v", b.name, ctx.Err(), last)
		}
	}
}

// cpuTime is what a process has used so far, as Linux counts it: in ticks of 10 ms.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// utime and stime are fields 14 and 15; the name, field 2, may hold spaces, and ends with the last ")".
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0, fmt.Errorf("read CPU time of process %d: %w", pid, err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil
}

// memory is a line of a process's status in bytes: VmHWM is the most that it has had in memory, VmRSS what it has now.
func memory(pid int, name string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			var kib int64
			_, err := fmt.Sscan(value, &kib)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in the status of process %d", name, pid)
}
