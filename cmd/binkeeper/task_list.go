package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
)

// lookers is how many tasks are read at a time: each takes a few round trips.
const lookers = 16

func (p *program) taskList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List all tasks and how they are",
		Long:    "List all tasks and how they are.\n\n" + exitCodes(cli.OK, cli.Failed, cli.NoZooKeeper),
		Example: "  binkeeper task list\n  binkeeper task list -o json | jq '.tasks[] | select(.state != \"running\")'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list := listOutput{Format: outputFormat}
			err := p.inZooKeeper(cmd.Context(), func(ctx context.Context, s *coord.Session) (err error) {
				list.Tasks, err = lookAll(ctx, s)
				return err
			})
			if err != nil {
				return fmt.Errorf("list tasks: %w", err)
			}
			return p.print(cmd, list, list.rows)
		},
	}
}

// lookAll reads all tasks, in the order of their ids. One that is removed
// meanwhile is left out.
func lookAll(ctx context.Context, s *coord.Session) ([]taskRow, error) {
	ids, err := s.Tasks(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	rows := make([]taskRow, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookers)
	for i, id := range ids {
		group.Go(func() error {
			view, err := s.Look(ctx, id)
			if errors.Is(err, coord.ErrNoTask) {
				return nil
			}
			if err == nil {
				rows[i] = newTaskRow(id, view)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(rows, func(r taskRow) bool { return r.ID == "" }), nil
}

func (p *program) taskShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show all that is known of a task",
		Long: `Show all that is known of a task: why it is blocked and what to do, who serves
it and who stands by, how far it is.

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.NoZooKeeper),
		Example:           "  binkeeper task show orders",
		Args:              oneTask,
		ValidArgsFunction: p.completeTask,
		RunE: func(cmd *cobra.Command, args []string) error {
			var view coord.TaskView
			err := p.inZooKeeper(cmd.Context(), func(ctx context.Context, s *coord.Session) (err error) {
				view, err = s.Look(ctx, args[0])
				return err
			})
			if err != nil {
				return err
			}
			detail := newTaskDetail(args[0], view)
			return p.print(cmd, detail, detail.rows)
		},
	}
}
