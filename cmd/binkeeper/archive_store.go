package main

import (
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

// archiveCommand is a verb on the archive of one task, with --archive, by which it
// does without ZooKeeper.
func (p *program) archiveCommand(cmd *cobra.Command, run func(cmd *cobra.Command, id string, a *archive.Archive) error) *cobra.Command {
	var url string
	cmd.Flags().StringVar(&url, "archive", "", "the store, instead of the one that the task names; ZooKeeper is not needed then")
	cmd.Args = oneTask
	cmd.ValidArgsFunction = p.completeTask
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a, err := p.openArchive(cmd.Context(), args[0], url)
		if err != nil {
			return err
		}
		return run(cmd, args[0], a)
	}
	return cmd
}

// openArchive opens the archive of the task id in the store at url, or at the one
// that the task names. It must hold something.
func (p *program) openArchive(ctx context.Context, id, url string) (*archive.Archive, error) {
	if url == "" {
		var spec zkpaths.Spec
		err := p.inZooKeeper(ctx, func(ctx context.Context, s *coord.Session) (err error) {
			spec, _, err = s.Spec(ctx, id)
			return err
		})
		if err != nil {
			return nil, err
		}
		url = spec.Archive
	}
	store, err := stores.Open(url)
	if err != nil {
		return nil, err
	}
	a := archive.New(store, id)
	timelines, err := a.Timelines(ctx)
	if err != nil {
		return nil, err
	}
	if len(timelines) > 0 {
		return a, nil
	}
	switch _, err := a.Owner(ctx); {
	case errors.Is(err, archive.ErrNotExist):
		return nil, cli.Fail(cli.NotFound, "check the task's id and the archive's URL", "store %s holds no archive of task %s", store, id)
	case err != nil:
		return nil, err
	}
	return nil, cli.Fail(cli.NotFound, fmt.Sprintf("see binkeeper task show %s: a worker begins it with the first byte from the source", id),
		"the archive of task %s in store %s is empty", id, store)
}
