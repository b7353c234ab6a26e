package coord

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"
)

// Tasks gives the ids of all tasks, sorted.
func (s *Session) Tasks(ctx context.Context) ([]string, error) {
	var ids []string
	err := s.certain(ctx, func() error {
		found, err := s.list(ctx, zkpaths.Tasks)
		ids, _ = taskIDs(found.children)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", zkpaths.Tasks, err)
	}
	return ids, nil
}

// CreateTask makes the four nodes of a task, all or none. In place of a spec that
// removes a vanished task of that name it puts the new one. ErrTaskExists: there is a
// task of that id.
func (s *Session) CreateTask(ctx context.Context, id string, spec zkpaths.Spec) error {
	if err := zkpaths.CheckTaskID(id); err != nil {
		return err
	}
	if err := spec.Check(); err != nil {
		return fmt.Errorf("create task %s: %w", id, err)
	}
	data, err := zkpaths.Encode(zkpaths.Task(id), &spec)
	if err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return fmt.Errorf("create task %s: %w", id, err)
	}
	for {
		err = s.createOnce(ctx, id, data)
		if errors.Is(err, zk.ErrNodeExists) && !spec.RemovesVanished() {
			err = s.replaceRemoval(ctx, id, spec)
		}
		if !errors.Is(err, zk.ErrBadVersion) && !errors.Is(err, ErrNoTask) { // else a task was removed meanwhile
			break
		}
	}
	if errors.Is(err, zk.ErrNodeExists) {
		err = ErrTaskExists
	}
	if err != nil {
		return fmt.Errorf("create task %s: %w", id, err)
	}
	return nil
}

// replaceRemoval puts spec in the place of one that removes a vanished task; nobody has
// touched the nodes below that. zk.ErrNodeExists: what stands there is another one.
// zk.ErrBadVersion, ErrNoTask: it has changed, or is gone meanwhile.
func (s *Session) replaceRemoval(ctx context.Context, id string, spec zkpaths.Spec) error {
	there, version, err := s.Spec(ctx, id)
	if errors.As(err, new(*zkpaths.UnreadableError)) || errors.As(err, new(*zkpaths.NewerFormatError)) {
		return zk.ErrNodeExists
	}
	if err != nil {
		return err
	}
	if !there.RemovesVanished() {
		return zk.ErrNodeExists
	}
	return s.writeSpec(ctx, id, spec, version)
}

// createOnce makes the nodes of a task, and takes it out of those that were removed.
// zk.ErrBadVersion: these have changed meanwhile.
func (s *Session) createOnce(ctx context.Context, id string, spec []byte) error {
	ops := []any{s.createOp(zkpaths.Task(id), spec, zk.FlagPersistent)}
	for _, leaf := range leaves(id, time.Now()) {
		ops = append(ops, s.createOp(leaf.path, leaf.data, zk.FlagPersistent))
	}
	var drop any
	err := s.certain(ctx, func() error {
		drop = nil
		var removed zkpaths.Removals
		version, wrong, err := s.part(ctx, zkpaths.RemovedTasks, &removed)
		if err == nil && wrong == nil && removed.Has(id) {
			removed.Drop(id)
			drop = s.setOp(zkpaths.RemovedTasks, mustEncode(zkpaths.RemovedTasks, &removed), version)
		}
		return err
	})
	if err != nil {
		return err
	}
	if drop != nil {
		ops = append(ops, drop)
	}
	return s.decide(ctx, func() error {
		_, err := s.multi(ctx, ops...)
		return err
	}, func() (bool, error) {
		found, err := s.get(ctx, zkpaths.Task(id))
		switch {
		case errors.Is(err, zk.ErrNoNode):
			return false, nil
		case err == nil && !bytes.Equal(found.data, spec):
			return false, zk.ErrNodeExists
		}
		return err == nil, err
	})
}

// A leaf is a node below a task's, as it is when the task is new.
type leaf struct {
	name, path string
	data       []byte
}

func leaves(task string, now time.Time) []leaf {
	status := zkpaths.NewStatus(now)
	return []leaf{
		{"instance", zkpaths.Line(task), nil},
		{"lastCommit", zkpaths.Checkpoint(task), mustEncode(zkpaths.Checkpoint(task), &zkpaths.LastCommit{})},
		{"status", zkpaths.State(task), mustEncode(zkpaths.State(task), &status)},
	}
}

// mustEncode encodes a constant payload.
func mustEncode(path string, p zkpaths.Payload) []byte {
	data, err := zkpaths.Encode(path, p)
	if err != nil {
		panic(err)
	}
	return data
}

// Spec reads a task's spec and its version. ErrNoTask: there is no such task;
// *zkpaths.UnreadableError, *zkpaths.NewerFormatError: the version is given all
// the same.
func (s *Session) Spec(ctx context.Context, id string) (zkpaths.Spec, int32, error) {
	var spec zkpaths.Spec
	found, err := s.read(ctx, zkpaths.Task(id))
	if errors.Is(err, zk.ErrNoNode) {
		return spec, 0, fmt.Errorf("task %s: %w", id, ErrNoTask)
	}
	if err != nil {
		return spec, 0, fmt.Errorf("read %s: %w", zkpaths.Task(id), err)
	}
	return spec, found.stat.Version, zkpaths.Decode(zkpaths.Task(id), found.data, &spec)
}

// read reads the newest data at path.
func (s *Session) read(ctx context.Context, path string) (found node, err error) {
	err = s.certain(ctx, func() (err error) {
		found, err = s.get(ctx, path)
		return err
	})
	return found, err
}

// UpdateSpec writes what change makes of a task's spec, and returns it. When
// another client has written meanwhile, change is called again with that. An
// error of change is returned as it is, and nothing is written.
func (s *Session) UpdateSpec(ctx context.Context, id string, change func(*zkpaths.Spec) error) (zkpaths.Spec, error) {
	for {
		spec, version, err := s.Spec(ctx, id)
		if err != nil {
			return spec, err
		}
		if err := change(&spec); err != nil {
			return spec, err
		}
		if err := spec.Check(); err != nil {
			return spec, fmt.Errorf("update task %s: %w", id, err)
		}
		err = s.writeSpec(ctx, id, spec, version)
		switch {
		case err == nil:
			return spec, nil
		case !errors.Is(err, zk.ErrBadVersion):
			return spec, fmt.Errorf("update task %s: %w", id, err)
		}
	}
}

func (s *Session) writeSpec(ctx context.Context, id string, spec zkpaths.Spec, version int32) error {
	path := zkpaths.Task(id)
	data, err := zkpaths.Encode(path, &spec)
	if err != nil {
		return err
	}
	err = s.decide(ctx, func() error {
		_, err := s.multi(ctx, s.setOp(path, data, version))
		return err
	}, func() (bool, error) {
		found, err := s.get(ctx, path)
		switch {
		case err != nil:
			return false, err
		case found.stat.Version == version:
			return false, nil
		case bytes.Equal(found.data, data):
			return true, nil
		}
		return false, zk.ErrBadVersion
	})
	if errors.Is(err, zk.ErrNoNode) {
		return ErrNoTask
	}
	return err
}

// SetSpec writes the task's spec as the primary. ErrSpecChanged: it is not at version any
// more; what an operator wants comes first. Otherwise its errors are a Term's; whether a
// write of unknown outcome has landed, the next look at the spec tells.
func (t *Term) SetSpec(ctx context.Context, spec zkpaths.Spec, version int32) error {
	path := zkpaths.Task(t.own.task)
	data, err := zkpaths.Encode(path, &spec)
	if err != nil {
		return err
	}
	if err = t.enter(ctx); err == nil {
		defer t.own.leave()
		fences := []any{t.own.checkOwn(), t.checkVersion()}
		_, err = t.own.write(ctx, append(fences, t.own.session.setOp(path, data, version))...)
		if failedAt(err, len(fences)) && errors.Is(err, zk.ErrBadVersion) {
			return ErrSpecChanged
		}
	}
	if err != nil {
		return fmt.Errorf("set %s: %w", path, verdict(err))
	}
	return nil
}
