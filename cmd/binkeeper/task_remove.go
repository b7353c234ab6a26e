package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

func (p *program) taskRemove() *cobra.Command {
	var wait, vanished bool
	cmd := &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a task, but nothing of its archive",
		Long: `Remove a task, but nothing of its archive: creating it again with the same id,
source and archive goes on where it ended. Workers flush, and leave it by
themselves.

A task that has vanished from ZooKeeper is removed by a spec that says so for a
minute, so that every monitor sees it, and is on record from then on. The workers
take that spec away; without a worker, this command does with --wait. Whether it
has vanished the workers know that have served it. Where they were all restarted
only a monitor remembers it, and the id could as well be a wrong one: --vanished
says that it is not.

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.NoZooKeeper, cli.TimedOut),
		Example:           "  binkeeper task remove orders --wait",
		Args:              oneTask,
		ValidArgsFunction: p.completeTask,
		RunE:              func(cmd *cobra.Command, args []string) error { return p.remove(cmd, args[0], wait, vanished) },
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "until the task is gone; for a vanished one that takes a minute, and a longer --timeout")
	cmd.Flags().BoolVar(&vanished, "vanished", false, "the task has vanished, also where no worker misses it")
	return cmd
}

func (p *program) remove(cmd *cobra.Command, id string, wait, vanished bool) error {
	began := time.Now()
	var spec zkpaths.Spec
	err := p.inZooKeeper(cmd.Context(), func(ctx context.Context, s *coord.Session) (err error) {
		spec, err = s.UpdateSpec(ctx, id, func(spec *zkpaths.Spec) error {
			spec.Desired = zkpaths.Removed
			return nil
		})
		switch {
		case errors.Is(err, coord.ErrNoTask):
			spec.Desired, spec.Vanished = zkpaths.Removed, true
			return removeVanished(ctx, s, id, vanished)
		case err != nil || spec.RemovesVanished():
			return err
		}
		return s.RemoveTask(ctx, id)
	})
	inUse := errors.As(err, new(*coord.InUseError))
	switch {
	case inUse && wait:
		err = p.poll(cmd.Context(), id, "removed", func(ctx context.Context, s *coord.Session) (bool, string, error) {
			return gone(s.RemoveTask(ctx, id))
		})
	case inUse:
		return p.report(cmd, id, true, "its workers are leaving; the last one removes it")
	case errors.Is(err, errOnRecord):
		return p.report(cmd, id, false, "it is on record as removed already")
	case err == nil && spec.RemovesVanished() && wait:
		err = p.awaitVanished(cmd.Context(), id, began)
	case err == nil && spec.RemovesVanished():
		return p.report(cmd, id, true, "removed: it had vanished, and is missed no more; its spec says so for a minute, and the workers take that away")
	}
	if err != nil {
		return err
	}
	return p.report(cmd, id, true, "removed")
}

// gone tells of an attempt to remove a task whether it is removed, else why not.
func gone(err error) (bool, string, error) {
	if errors.As(err, new(*coord.InUseError)) {
		return false, err.Error(), nil
	}
	return err == nil, "", err
}

// awaitVanished waits until the spec that removes a vanished task is gone. It takes it
// away itself where it has stood long enough since began.
func (p *program) awaitVanished(ctx context.Context, id string, began time.Time) error {
	return p.poll(ctx, id, "removed", func(ctx context.Context, s *coord.Session) (bool, string, error) {
		spec, _, err := s.Spec(ctx, id)
		switch {
		case errors.Is(err, coord.ErrNoTask):
			return true, "", nil
		case err != nil:
			return false, "", err
		case !spec.RemovesVanished():
			return false, "", cli.Fail(cli.Conflict, "see binkeeper task show "+id, "task %s was created again", id)
		case time.Since(began) >= zkpaths.VanishedStands:
			return gone(s.RemoveTask(ctx, id))
		}
		return false, "its spec says removed for a minute, for every monitor to see", nil
	})
}

// errOnRecord says that a task which is not there is known as removed.
var errOnRecord = errors.New("it is on record as removed already")

// removeVanished removes a task that is not there: one that has vanished. Where no
// worker misses it, and the operator does not say so, the id may be a wrong one: that is
// coord.ErrNoTask, and leaves no spec behind. The removal is on record all the same, for
// a monitor that remembers it.
func removeVanished(ctx context.Context, s *coord.Session, id string, sure bool) error {
	workers, err := s.Workers(ctx)
	if err != nil {
		return err
	}
	err = s.RemoveVanished(ctx, id)
	switch {
	case sure && errors.Is(err, coord.ErrNoTask):
		return errOnRecord
	case err != nil || sure || slices.Contains(missed(workers), id):
		return err
	}
	if err := s.RemoveTask(ctx, id); err != nil {
		return err
	}
	return cli.Fail(cli.NotFound, "if it has vanished, its removal is on record now: no monitor misses it any more", "task %s: %w, and no worker misses one of that name", id, coord.ErrNoTask)
}

// missed are the tasks that workers miss, sorted.
func missed(workers []coord.WorkerNode) []string {
	var ids []string
	for _, w := range workers {
		ids = append(ids, w.Worker.Vanished...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
