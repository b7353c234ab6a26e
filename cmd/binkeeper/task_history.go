package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

func (p *program) taskHistory() *cobra.Command {
	return &cobra.Command{
		Use:   "history ID",
		Short: "Show a task's last changes of state, oldest first",
		Long: `Show a task's last changes of state, oldest first: the last 16.

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.NoZooKeeper),
		Example:           "  binkeeper task history orders",
		Args:              oneTask,
		ValidArgsFunction: p.completeTask,
		RunE: func(cmd *cobra.Command, args []string) error {
			var view coord.TaskView
			err := p.inZooKeeper(cmd.Context(), func(ctx context.Context, s *coord.Session) (err error) {
				if view, err = s.Look(ctx, args[0]); err == nil {
					err = view.StatusErr
				}
				return err
			})
			if err != nil {
				return err
			}
			history := historyOutput{outputFormat, transitions(view)}
			return p.print(cmd, history, history.rows)
		},
	}
}

type historyOutput struct {
	Format      int                  `json:"format"`
	Transitions []zkpaths.Transition `json:"transitions"`
}

func (h historyOutput) rows() [][]string {
	rows := [][]string{{"AT", "FROM", "TO", "TERM", "SERVER", "REASON"}}
	for _, t := range h.Transitions {
		rows = append(rows, []string{when(t.At), t.From, t.To, strconv.FormatInt(t.Term, 10), t.ServerID, t.Reason})
	}
	return rows
}

// transitions are those of the task in view; never nil.
func transitions(view coord.TaskView) []zkpaths.Transition {
	return append([]zkpaths.Transition{}, view.Status.Transitions...)
}
