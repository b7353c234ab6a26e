package coord

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/zkpaths"
)

// RemoveTask deletes a task's nodes, and enters it among those that were removed,
// all or nothing; a task that is gone is fine. An *InUseError: its spec does not say
// removed, or something stands below it. *zkpaths.UnreadableError,
// *zkpaths.NewerFormatError: its spec, or the record of removals, cannot be used.
func (s *Session) RemoveTask(ctx context.Context, id string) error {
	refused := backoff{session: s}
	for {
		var ops []any
		err := s.certain(ctx, func() (err error) {
			ops, err = s.removal(ctx, id)
			return err
		})
		if errors.Is(err, ErrNoTask) {
			return nil
		}
		if err == nil {
			_, err = s.multi(ctx, ops...)
		}
		if passing(err) {
			if err := refused.wait(ctx, err); err != nil {
				return fmt.Errorf("remove task %s: %w", id, err)
			}
			continue
		}
		switch {
		case err == nil:
			return nil
		case overtaken(err), errors.Is(err, errUnknown) && ctx.Err() == nil: // look again
		default:
			return fmt.Errorf("remove task %s: %w", id, err)
		}
	}
}

// overtaken reports whether another writer has come first.
func overtaken(err error) bool {
	return errors.Is(err, zk.ErrNoNode) || errors.Is(err, zk.ErrNotEmpty) || errors.Is(err, zk.ErrBadVersion) || errors.Is(err, zk.ErrNodeExists)
}

// removal reads what stands below a task and gives the operations that delete it
// as it was read. ErrNoTask: there is no task.
func (s *Session) removal(ctx context.Context, id string) ([]any, error) {
	var spec zkpaths.Spec
	task, err := s.get(ctx, zkpaths.Task(id))
	if errors.Is(err, zk.ErrNoNode) {
		return nil, ErrNoTask
	}
	if err != nil {
		return nil, err
	}
	if err := zkpaths.Decode(zkpaths.Task(id), task.data, &spec); err != nil {
		return nil, err
	}
	inUse := &InUseError{Task: id, Desired: spec.Desired}
	if spec.Desired != zkpaths.Removed {
		return nil, inUse
	}
	below, err := s.list(ctx, zkpaths.Task(id))
	if err != nil {
		return nil, err
	}
	ours := map[string]bool{}
	for _, leaf := range leaves(id, time.Now()) {
		ours[leaf.name] = true
	}
	var ops []any
	for _, name := range below.children {
		path := zkpaths.Task(id) + "/" + name
		if !ours[name] {
			inUse.Nodes = append(inUse.Nodes, path)
			continue
		}
		listed, err := s.list(ctx, path)
		if err != nil {
			return nil, err
		}
		for _, child := range listed.children {
			inUse.Nodes = append(inUse.Nodes, path+"/"+child)
		}
		ops = append(ops, s.deleteOp(path, listed.stat.Version))
	}
	if len(inUse.Nodes) > 0 {
		return nil, inUse
	}
	record, err := s.recordOp(ctx, id)
	return append(ops, s.deleteOp(zkpaths.Task(id), task.stat.Version), record), err
}

// recordOp gives the operation that enters a task among those that were removed.
func (s *Session) recordOp(ctx context.Context, id string) (any, error) {
	var removed zkpaths.Removals
	version, wrong, err := s.part(ctx, zkpaths.RemovedTasks, &removed)
	missing := errors.Is(wrong, ErrMissing)
	if err == nil && !missing {
		err = wrong
	}
	if err != nil {
		return nil, err
	}
	removed.Add(id, time.Now())
	data, err := zkpaths.Encode(zkpaths.RemovedTasks, &removed)
	if missing {
		return s.createOp(zkpaths.RemovedTasks, data, zk.FlagPersistent), err
	}
	return s.setOp(zkpaths.RemovedTasks, data, version), err
}

// RemoveVanished writes the spec that removes a task which is not there, since it has
// vanished, for all who follow the tasks. RemoveTask takes it away again, after
// zkpaths.VanishedStands. ErrNoTask: the task is known as removed already.
// ErrTaskExists: there is a spec of that name.
func (s *Session) RemoveVanished(ctx context.Context, id string) error {
	var removed zkpaths.Removals
	err := s.certain(ctx, func() error {
		_, _, err := s.part(ctx, zkpaths.RemovedTasks, &removed)
		return err
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", zkpaths.RemovedTasks, err)
	}
	if removed.Has(id) {
		return fmt.Errorf("task %s: %w", id, ErrNoTask)
	}
	return s.CreateTask(ctx, id, zkpaths.Spec{Desired: zkpaths.Removed, Vanished: true, CreatedAt: zkpaths.At(time.Now())})
}
