package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/scripts/internal/localstack"
	"binkeeper/zkpaths"
)

// takeovers measures how long a task is without a primary: from the signal until lastCommit has the next term, read
// every millisecond, while a client writes.
func (s *scene) takeovers(ctx context.Context) (err error) {
	source, err := servers.StartSource(ctx, servers.SourceOptions{Kind: servers.MySQL, Dir: filepath.Join(s.stack.Dir, "takeover")})
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Join(s.stack.Dir, "takeover"))
	defer source.Close()
	if err := errors.Join(os.RemoveAll(s.out()),
		source.Exec(ctx, "CREATE DATABASE bench", "CREATE TABLE bench.orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, note TEXT)")); err != nil {
		return err
	}
	id, err := s.createTask(ctx, source.URL()+plainQuery, s.out())
	if err != nil {
		return err
	}
	line := map[string]*servers.Program{}
	for _, name := range []string{"first", "second"} {
		w, err := s.startWorker(ctx, name, id)
		if err != nil {
			return err
		}
		defer w.Close()
		line[name] = w
	}
	writing, stop := context.WithCancel(ctx)
	var client errgroup.Group
	client.Go(func() error { return trickle(writing, source) })
	defer func() {
		stop()
		err = errors.Join(err, client.Wait())
	}()
	times := 20
	if s.quick {
		times = 4
	}
	strikes := []struct {
		name  string
		hit   func(*servers.Program) error
		bound time.Duration
	}{
		{"SIGTERM", (*servers.Program).Stop, 500 * time.Millisecond},
		{"kill -9", func(w *servers.Program) error { w.Kill(); return nil }, localstack.SessionTimeout + tick + time.Second},
	}
	for _, strike := range strikes {
		var took []time.Duration
		for range times {
			d, err := s.takeover(ctx, id, line, strike.hit)
			if err != nil {
				return err
			}
			took = append(took, d)
		}
		slices.Sort(took)
		most := took[len(took)-1]
		s.report.limit(fmt.Sprintf("takeover after %s, %d times, session timeout %s", strike.name, times, localstack.SessionTimeout),
			fmt.Sprintf("median %s, max %s", millis(took[len(took)/2]), millis(most)), millis(strike.bound), most <= strike.bound)
	}
	return nil
}

// tick is ZooKeeper's here: a session's end is noticed that much late at most.
const tick = 500 * time.Millisecond

// takeover hits the primary once it archives beside a standby, and starts it again.
func (s *scene) takeover(ctx context.Context, id string, line map[string]*servers.Program, hit func(*servers.Program) error) (time.Duration, error) {
	before, err := s.await(ctx, id, time.Millisecond, "a primary that archives, and a standby", func(v coord.TaskView) bool {
		return len(v.Line) == 2 && v.Status.State == zkpaths.StateRunning && v.Status.Instance == v.Line[0].Name && v.LastCommit.Commit > 1
	})
	if err != nil {
		return 0, err
	}
	primary := line[before.Status.ServerID]
	var group errgroup.Group
	began := time.Now()
	group.Go(func() error { return hit(primary) })
	_, err = s.await(ctx, id, time.Millisecond, "a takeover", func(v coord.TaskView) bool {
		return v.LastCommit.Term > before.LastCommit.Term && v.LastCommit.ServerID != before.Status.ServerID
	})
	took := time.Since(began)
	if err := errors.Join(err, group.Wait()); err != nil {
		return 0, err
	}
	return took, primary.Start(ctx)
}

// trickle commits a transaction every few milliseconds, until ctx ends.
func trickle(ctx context.Context, source *servers.Source) error {
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
		}
		if err := source.Exec(ctx, "INSERT INTO bench.orders (note) VALUES (REPEAT('note ', 100))"); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// idleTasks is how many tasks one worker has that have nothing to do.
const idleTasks = 200

// idle measures what a task costs that is caught up with and at rest.
func (s *scene) idle(ctx context.Context) error {
	source, err := servers.StartSource(ctx, servers.SourceOptions{
		Kind: servers.MySQL, Dir: filepath.Join(s.stack.Dir, "idle"), Args: []string{"--max-connections=1000"},
	})
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Join(s.stack.Dir, "idle"))
	defer source.Close()
	if err := os.RemoveAll(s.out()); err != nil {
		return err
	}
	port, err := servers.FreePort()
	if err != nil {
		return err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	w, err := servers.StartProgram(ctx, servers.ProgramOptions{
		Name: "worker idle", Dir: s.stack.WorkerDir("idle"),
		Command: []string{filepath.Join(s.programs, "worker"), "--server-id", "idle", "--zookeeper", s.zk.Addr(), "--tasks", "idle-*",
			"--secrets-dir", s.stack.SecretsDir(), "--listen", address, "--log-format", "json"},
		Ready: func(ctx context.Context) error { _, err := fetch(ctx, "http://"+address+"/readyz"); return err },
	})
	if err != nil {
		return err
	}
	defer w.Close()
	empty, err := s.atRest(ctx, w, address)
	if err != nil {
		return err
	}
	var creating errgroup.Group
	creating.SetLimit(4)
	for n := range idleTasks {
		creating.Go(func() error { return s.createIdle(ctx, fmt.Sprintf("idle-%d", n), source) })
	}
	if err := creating.Wait(); err != nil {
		return err
	}
	for n := range idleTasks {
		if _, err := s.await(ctx, fmt.Sprintf("idle-%d", n), 50*time.Millisecond, "an idle task", func(v coord.TaskView) bool { return v.Status.CaughtUp }); err != nil {
			return err
		}
	}
	full, err := s.atRest(ctx, w, address)
	if err != nil {
		return err
	}
	perTask := float64(full.memory-empty.memory) / idleTasks
	goroutines, sockets := float64(full.goroutines-empty.goroutines)/idleTasks, float64(full.sockets-empty.sockets)/idleTasks
	what := fmt.Sprintf("%d idle tasks: ", idleTasks)
	s.report.limit(what+"memory a task", fmt.Sprintf("%.2f MiB", perTask/(1<<20)), "1 MiB", perTask < 1<<20)
	s.report.limit(what+"goroutines a task", fmt.Sprintf("%.1f", goroutines), "10", goroutines < 10)
	s.report.plain(what+"connections a task", fmt.Sprintf("%.1f", sockets), "")
	s.report.limit(what+"CPU at rest, in all", fmt.Sprintf("%.1f %% of a core", 100*full.load), "5 % of a core", full.load <= 0.05)
	return nil
}

func (s *scene) createIdle(ctx context.Context, id string, source *servers.Source) error {
	if err := os.MkdirAll(s.out(), 0o755); err != nil {
		return err
	}
	_, err := s.stack.Binkeeper(ctx, "task", "create", id, "--skip-checks", "--source", source.URL()+plainQuery,
		"--password-ref", "file:"+s.password(), "--archive", "file://"+s.out())
	return err
}

// rest is a process that has nothing to do.
type rest struct {
	memory, goroutines, sockets int64
	load                        float64 // cores used
}

// atRest lets the worker come to rest, and watches it for a while.
func (s *scene) atRest(ctx context.Context, w *servers.Program, address string) (r rest, err error) {
	settle, watch := 30*time.Second, 30*time.Second
	if s.quick {
		settle, watch = 5*time.Second, 10*time.Second
	}
	if err := pause(ctx, settle); err != nil {
		return r, err
	}
	before, err := cpuTime(w.Pid())
	if err != nil {
		return r, err
	}
	if err := pause(ctx, watch); err != nil {
		return r, err
	}
	after, err := cpuTime(w.Pid())
	if err != nil {
		return r, err
	}
	r.load = (after - before).Seconds() / watch.Seconds()
	if r.memory, err = memory(w.Pid(), "VmRSS"); err != nil {
		return r, err
	}
	if r.sockets, err = sockets(w.Pid()); err != nil {
		return r, err
	}
	metrics, err := fetch(ctx, "http://"+address+"/metrics")
	if err != nil {
		return r, err
	}
	for line := range strings.Lines(metrics) {
		if value, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			_, err = fmt.Sscan(value, &r.goroutines)
		}
	}
	return r, err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sockets is how many connections a process has open.
func sockets(pid int) (n int64, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		target, err := os.Readlink(filepath.Join(dir, file.Name()))
		if err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n, nil
}

// fetch returns what a URL says, an error unless it says it with 200.
func fetch(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return string(text), err
}
