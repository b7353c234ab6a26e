package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"binkeeper/internal/coord"
	"binkeeper/internal/history"
)

// catchUpPatience is how long it may take, when everything is healed and no client writes, until everything is archived: a
// blocked task looks again after 30 s.
const catchUpPatience = 90 * time.Second

// A result is what has become of one task.
type result struct {
	task     string
	history  history.Verdict
	segments int
	comparison
}

// finish heals what is left, waits until everything is archived, and judges it. Its error says that it could not be
// judged; what is not in order are problems in the log.
func (r *rig) finish(ctx context.Context) ([]result, error) {
	r.log.tell("everything is healed")
	if err := r.heal(ctx); err != nil {
		return nil, err
	}
	for _, s := range r.sources {
		s.load.stop()
		if err := s.Exec(ctx, "FLUSH BINARY LOGS"); err != nil {
			return nil, err
		}
		if s.load.written.Load() == 0 {
			return nil, fmt.Errorf("the clients of %s have written nothing", s.name)
		}
	}
	if err := r.awaitArchived(ctx); err != nil {
		return nil, err
	}
	r.log.tell("everything is archived")
	results, err := r.judgeArchives(ctx)
	if err != nil {
		return results, err
	}
	r.log.tell("every archive is verified, exported and compared")
	if err := r.alerts.awaitQuiet(ctx); err != nil {
		r.log.problem("%v", err)
	} else {
		r.log.tell("no alert is open")
	}
	r.endPrograms(ctx)
	return results, r.judgeHistory(results)
}

// heal ends what a strike that could not be healed has left, and what an unknown outcome may have. Every server that is
// not running by now has ended by itself.
func (r *rig) heal(ctx context.Context) error {
	for _, t := range r.tasks {
		t.gate.Heal()
	}
	for _, w := range r.workers {
		for _, gate := range w.gates {
			gate.Heal()
		}
		if !w.Running() {
			continue // the minder starts it
		}
		if err := w.Continue(); err != nil {
			return err
		}
	}
	for _, server := range r.zookeeper.Servers() {
		if !server.Running() {
			r.log.problem("%v", &endedError{server.Addr()})
		}
	}
	if err := r.zookeeper.Start(ctx); err != nil {
		return err
	}
	for _, s := range r.sources {
		if !s.Running() {
			r.log.problem("%v", &endedError{s.name})
			if err := s.Start(ctx); err != nil {
				return err
			}
		}
	}
	for _, t := range r.tasks {
		if err := r.resume(ctx, t.id); err != nil {
			return err
		}
	}
	return nil
}

// awaitArchived waits until each task's checkpoint is the end of its source, and says of each that does not get there.
func (r *rig) awaitArchived(ctx context.Context) error {
	errs := make([]error, len(r.tasks))
	var waits errgroup.Group
	for n, t := range r.tasks {
		waits.Go(func() error {
			_, err := r.view.await(ctx, t.id, "the archive of all that the source has", catchUpPatience, func(v coord.TaskView) bool {
				file, size, err := t.source.end() // a server may still write an event of its own into a new file
				return err == nil && v.LastCommitErr == nil && v.LastCommit.File == file && v.LastCommit.Position == size
			})
			if err != nil {
				file, size, endErr := t.source.end()
				errs[n] = errors.Join(fmt.Errorf("%w; the source ends at %s:%d", err, file, size), endErr)
			}
			return nil
		})
	}
	waits.Wait()
	return errors.Join(errs...)
}

// end is where the source's binlog ends: its newest file and that one's size.
func (s *source) end() (file string, size int64, err error) {
	files, err := s.BinlogFiles()
	if err != nil {
		return "", 0, err
	}
	newest, err := os.Stat(files[len(files)-1])
	if err != nil {
		return "", 0, err
	}
	return newest.Name(), newest.Size(), nil
}

// judgeArchives verifies and exports every archive, and compares it with its source and with what was committed.
func (r *rig) judgeArchives(ctx context.Context) ([]result, error) {
	changes, err := r.changes()
	if err != nil {
		return nil, err
	}
	results := make([]result, len(r.tasks))
	judges, ctx := errgroup.WithContext(ctx)
	judges.SetLimit(2)
	for n, t := range r.tasks {
		judges.Go(func() (err error) {
			results[n], err = r.judgeArchive(ctx, t, history.Judge(changes, "", t.id).Reached)
			return err
		})
	}
	return results, judges.Wait()
}

func (r *rig) judgeArchive(ctx context.Context, t *task, reached map[int64]history.Place) (result, error) {
	res := result{task: t.id}
	export := filepath.Join(r.dir, "export", t.id)
	if err := os.MkdirAll(export, 0o755); err != nil {
		return res, err
	}
	for _, args := range [][]string{{"archive", "verify", t.id}, {"archive", "export", t.id, "--output", export, "--timeline", "all"}} {
		if _, err := r.binkeeper(ctx, args...); err != nil {
			r.log.problem("%v", err)
		}
	}
	live, err := t.source.BinlogFiles()
	if err != nil {
		return res, err
	}
	if res.comparison, err = compare(export, append(t.source.ended(), live), reached); err != nil {
		return res, err
	}
	for _, difference := range res.differences {
		r.log.problem("%s: %s", t.id, difference)
	}
	metas, err := segments(ctx, t.archive, t.id)
	if err != nil {
		return res, err
	}
	res.segments = len(metas)
	for _, problem := range judgeChain(metas) {
		r.log.problem("%s: %s", t.id, problem)
	}
	if len(res.differences) == 0 {
		return res, os.RemoveAll(export)
	}
	return res, nil
}

// endPrograms ends the workers and the monitor in order.
func (r *rig) endPrograms(ctx context.Context) {
	r.tended()
	for _, w := range r.workers {
		if err := terminated(r, w).strike(ctx); err != nil {
			r.log.problem("end %s: %v", w.name(), err)
		}
	}
	for _, w := range r.workers {
		if err := r.awaitEnd(ctx, w); err != nil {
			r.log.problem("%v", err)
		}
		r.checkLog(w.name(), w.Log())
	}
	if err := r.monitor.Stop(); err != nil {
		r.log.problem("%v", err)
	}
	if code := r.monitor.ExitCode(); code != codeOrderly {
		r.log.problem("the monitor has ended with exit code %d", code)
	}
	r.checkLog("the monitor", r.monitor.Log())
}

// changes are all that ZooKeeper has made so far.
func (r *rig) changes() ([]history.Change, error) {
	var dirs []string
	for _, server := range r.zookeeper.Servers() {
		dirs = append(dirs, server.DataDir())
	}
	return history.Read(dirs...)
}

// judgeHistory judges what has stood in ZooKeeper.
func (r *rig) judgeHistory(results []result) error {
	changes, err := r.changes()
	if err != nil {
		return err
	}
	for n := range results {
		results[n].history = history.Judge(changes, "", results[n].task)
		for _, problem := range results[n].history.Problems {
			r.log.problem("%s", problem)
		}
		if results[n].history.Commits == 0 {
			r.log.problem("nobody has ever committed to %s", results[n].task)
		}
	}
	return nil
}
