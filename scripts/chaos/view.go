package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

// A viewer looks at tasks past all proxies. Its session outlives most outages, and is opened anew after the others.
type viewer struct {
	servers []string

	mu      sync.Mutex
	session *coord.Session
}

const (
	observing = 40 * time.Second // the session timeout: the most that a server grants
	looking   = 2 * time.Second  // with one look
	lookEvery = 50 * time.Millisecond
)

// look reads one task.
func (v *viewer) look(ctx context.Context, id string) (coord.TaskView, error) {
	ctx, cancel := context.WithTimeout(ctx, looking)
	defer cancel()
	session, err := v.open(ctx)
	if err != nil {
		return coord.TaskView{}, err
	}
	return session.Look(ctx, id)
}

func (v *viewer) open(ctx context.Context) (*coord.Session, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.session != nil && v.session.Err() == nil {
		return v.session, nil
	}
	if v.session != nil {
		v.session.Close()
		v.session = nil
	}
	session, err := coord.Open(ctx, coord.Config{Servers: v.servers, Timeout: observing, Logger: zerolog.Nop()})
	if err != nil {
		return nil, err
	}
	v.session = session
	return session, nil
}

func (v *viewer) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.session != nil {
		v.session.Close()
	}
}

// await looks at a task until it is as wanted.
func (v *viewer) await(ctx context.Context, id, what string, within time.Duration, wanted func(coord.TaskView) bool) (coord.TaskView, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var view coord.TaskView // the last that was seen
	for {
		seen, err := v.look(ctx, id)
		if err == nil {
			view = seen
		}
		if err == nil && wanted(view) {
			return view, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return view, fmt.Errorf("%s of task %s has not come within %s: the task is %s (%s: %s), its line is %s, its checkpoint %s:%d of timeline %d, term %d, commit %d (%v)", what, id, within,
				view.Status.State, view.Status.Reason, view.Status.Detail, lineOf(view), view.LastCommit.File, view.LastCommit.Position, view.LastCommit.Timeline, view.LastCommit.Term, view.LastCommit.Commit, err)
		}
	}
}

func lineOf(view coord.TaskView) string {
	var names []string
	for _, m := range view.Line {
		names = append(names, m.Name)
	}
	return fmt.Sprint(names)
}

// serves reports whether the task's primary has its dump open and has committed in its term.
func serves(view coord.TaskView) bool {
	return view.Status.State == zkpaths.StateRunning && len(view.Line) > 0 && view.Status.Instance == view.Line[0].Name &&
		view.LastCommit.Instance == view.Status.Instance && view.LastCommit.Commit > 0
}

// binkeeper runs the operator's command, past all proxies. An error holds what it said.
func (r *rig) binkeeper(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(r.programs, "binkeeper"), append(args, "--timeout", "5s")...)
	cmd.Env = append(os.Environ(), "BINKEEPER_ZOOKEEPER="+r.zookeeper.Addr())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		said := strings.Join(strings.Fields(stderr.String()+stdout.String()), " ")
		return "", fmt.Errorf("binkeeper %s: %w: %s", strings.Join(args, " "), err, said)
	}
	return stdout.String(), nil
}
