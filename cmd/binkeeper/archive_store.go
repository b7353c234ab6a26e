package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"binkeeper/archive"
	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/internal/stores"
	"binkeeper/zkpaths"
)

// An opened archive is what a verb on it works with.
type opened struct {
	*archive.Archive
	id         string
	store      archive.Store
	checkpoint *archive.Hint // nil without ZooKeeper, or when it cannot be read
}

// archiveCommand is a verb on the archive of one task, with --archive, by which it
// does without ZooKeeper.
func (p *program) archiveCommand(cmd *cobra.Command, run func(cmd *cobra.Command, a opened) error) *cobra.Command {
	var url string
	cmd.Flags().StringVar(&url, "archive", "", "the store, instead of the one that the task names; ZooKeeper is not needed then")
	cmd.Args = oneTask
	cmd.ValidArgsFunction = p.completeTask
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, err := p.openArchive(cmd, args[0], url)
		if err != nil {
			return err
		}
		return run(cmd, a)
	}
	return cmd
}

// openArchive opens the archive of the task id in the store at url, or at the one
// that the task names.
func (p *program) openArchive(cmd *cobra.Command, id, url string) (opened, error) {
	a := opened{id: id}
	if url == "" {
		var view coord.TaskView
		err := p.inZooKeeper(cmd.Context(), func(ctx context.Context, s *coord.Session) (err error) {
			view, err = s.Look(ctx, id)
			return err
		})
		if err = cmp.Or(err, view.SpecErr); err != nil {
			return a, err
		}
		url = view.Spec.Archive
		a.checkpoint = checkpointOf(view.LastCommit)
		if view.LastCommitErr != nil {
			a.checkpoint = nil
			cli.Warn(cmd.ErrOrStderr(), programName, "the checkpoint is unreadable, so that nothing tells whether the archive has lost its end: "+view.LastCommitErr.Error())
		}
	}
	var err error
	if a.store, err = stores.Open(url); err != nil {
		return a, err
	}
	a.Archive = archive.New(a.store, id)
	return a, nil
}

// checkpointOf is what a checkpoint says is archived, or nil when nothing is.
func checkpointOf(c zkpaths.LastCommit) *archive.Hint {
	switch {
	case c.Timeline == 0:
		return nil
	case c.SegmentFile == "":
		return &archive.Hint{Timeline: c.Timeline, File: c.File, Position: c.Position}
	}
	return &archive.Hint{Timeline: c.Timeline, File: c.SegmentFile, Position: c.SegmentEnd}
}

// mustHold returns an error unless the archive holds something.
func (a opened) mustHold(ctx context.Context) error {
	timelines, err := a.Timelines(ctx)
	if err != nil || len(timelines) > 0 {
		return err
	}
	switch _, err := a.Owner(ctx); {
	case errors.Is(err, archive.ErrNotExist):
		return cli.Fail(cli.NotFound, "check the task's id and the archive's URL", "store %s holds no archive of task %s", a.store, a.id)
	case err != nil:
		return err
	}
	return cli.Fail(cli.NotFound, fmt.Sprintf("see binkeeper task show %s: a worker begins it with the first byte from the source", a.id),
		"the archive of task %s in store %s is empty", a.id, a.store)
}
