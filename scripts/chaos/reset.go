package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"binkeeper/zkpaths"
)

// reset lets a source forget all its binlog files and GTIDs and begin anew, between two transactions. What it forgets is
// kept beside it, for the comparison.
func (r *rig) reset(_ context.Context, s strike) (fault, error) {
	src := r.source(s.target)
	return fault{whom: s.target, holds: []string{s.target}, strike: func(ctx context.Context) error {
		src.load.quiet.Lock()
		defer src.load.quiet.Unlock()
		kept, err := src.keep(filepath.Join(r.dir, src.name+"-"+strconv.Itoa(1+len(src.ended()))))
		if err != nil {
			return err
		}
		statement := "RESET BINARY LOGS AND GTIDS"
		if src.Kind().IsMariaDB() {
			statement = "RESET MASTER"
		}
		err = src.Exec(context.WithoutCancel(ctx), statement)
		if same, statErr := sameFile(kept[0], filepath.Join(src.DataDir(), filepath.Base(kept[0]))); same || statErr != nil {
			return errors.Join(errors.New("it has not forgotten anything"), err, statErr)
		}
		src.mu.Lock()
		defer src.mu.Unlock()
		src.reset = append(src.reset, kept)
		return nil
	}}, nil
}

// keep links the binlog files that there are into a folder: they stay what they are, whatever is written into them yet.
func (s *source) keep(dir string) (kept []string, err error) {
	files, err := s.BinlogFiles()
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	for _, file := range files {
		link := filepath.Join(dir, filepath.Base(file))
		if err := os.Link(file, link); err != nil {
			return nil, err
		}
		kept = append(kept, link)
	}
	return kept, nil
}

func sameFile(a, b string) (bool, error) {
	one, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	other, err := os.Stat(b)
	if err != nil {
		return false, err
	}
	return os.SameFile(one, other), nil
}

// ended are the files of the histories that resets have ended.
func (s *source) ended() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]string{}, s.reset...)
}

// answerEvery is how often the operator looks at a task.
const answerEvery = 500 * time.Millisecond

// answer is the operator: where a reset has blocked a task, its answer is a new timeline. It tells what else blocks one,
// and takes a divergence that no reset has caused for the problem that it is.
func (r *rig) answer(ctx context.Context, t *task) {
	told := ""
	for ; ctx.Err() == nil; pause(ctx, answerEvery) {
		view, err := r.view.look(ctx, t.id)
		if err != nil || view.Status.State != zkpaths.StateBlocked {
			continue
		}
		if why := fmt.Sprintf("%s: %s", view.Status.Reason, view.Status.Detail); why != told {
			told = why
			r.log.tell("%s is blocked: %s", t.id, why)
			if view.Status.Reason == zkpaths.BlockedDiverged && len(t.source.ended()) < int(max(1, view.LastCommit.Timeline)) {
				r.log.problem("%s is blocked, and nothing has happened to its source: %s", t.id, why)
			}
		}
		if view.Status.Reason != zkpaths.BlockedDiverged {
			continue
		}
		if _, err := r.binkeeper(ctx, "task", "resume", t.id, "--accept-new-timeline"); err != nil && ctx.Err() == nil {
			r.log.tell("%s cannot be answered yet: %v", t.id, err)
		}
	}
}
