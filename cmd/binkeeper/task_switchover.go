package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

func (p *program) taskSwitchover() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "switchover ID [--to SERVERID]",
		Short: "Make a standby the primary",
		Long: `Make a standby the primary: the next in line, or that of --to. The primary
flushes, hands over and goes to the end of the line. It returns when the standby
serves the task.

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.Conflict, cli.NoZooKeeper, cli.TimedOut),
		Example:           "  binkeeper task switchover orders --to 2",
		Args:              oneTask,
		ValidArgsFunction: p.completeTask,
		RunE: func(cmd *cobra.Command, args []string) error {
			if to != "" {
				if err := zkpaths.CheckServerID(to); err != nil {
					return cli.Usage(err)
				}
			}
			return p.switchover(cmd, args[0], to)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the server id of the standby (default: the next in line)")
	return cmd
}

func (p *program) switchover(cmd *cobra.Command, id, to string) error {
	var target zkpaths.Place
	var already bool
	err := p.inZooKeeper(cmd.Context(), func(ctx context.Context, s *coord.Session) error {
		view, err := s.Look(ctx, id)
		if err != nil {
			return err
		}
		if target, already, err = successor(id, view, to); err != nil || already {
			return err
		}
		_, err = s.UpdateSpec(ctx, id, func(spec *zkpaths.Spec) error {
			spec.SwitchoverTo = target.Name
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	if already {
		return p.report(cmd, id, false, "server "+target.ServerID+" is the primary already")
	}
	err = p.await(cmd.Context(), id, "switched to server "+target.ServerID, func(v coord.TaskView) (bool, error) { return switched(id, v, target) })
	if err != nil {
		return err
	}
	return p.report(cmd, id, true, "server "+target.ServerID+" is the primary")
}

// successor is the instance that is to become primary, or is so already: that of
// the server to, or the next in line when to is "".
func successor(id string, view coord.TaskView, to string) (target zkpaths.Place, already bool, err error) {
	if err := unserved(id, view); err != nil {
		return zkpaths.Place{}, false, err
	}
	line := places(view)
	if to == "" {
		if len(line) < 2 {
			return zkpaths.Place{}, false, cli.Fail(cli.Conflict, "start another worker, and see binkeeper workers", "task %s has no standby to switch to", id)
		}
		return line[1], false, nil
	}
	for i, place := range line {
		if place.ServerID == to {
			return place, i == 0, nil
		}
	}
	return zkpaths.Place{}, false, cli.Fail(cli.NotFound, "binkeeper task show "+id+" names its standbys", "server %s is not in the line of task %s", to, id)
}

// unserved reports why no worker can hand the task over.
func unserved(id string, view coord.TaskView) error {
	switch {
	case view.SpecErr != nil:
		return fmt.Errorf("task %s: %w", id, view.SpecErr)
	case view.LineErr != nil:
		return fmt.Errorf("task %s: %w", id, view.LineErr)
	case view.Spec.Desired == zkpaths.Removed:
		return beingRemoved(id)
	}
	return nil
}

// switched reports whether target serves the task. A paused or blocked task is
// served too.
func switched(id string, view coord.TaskView, target zkpaths.Place) (bool, error) {
	if view.StatusErr == nil && view.Status.Instance == target.Name && view.Status.State != zkpaths.StateStopped {
		return true, nil
	}
	for _, place := range places(view) {
		if place.Name == target.Name {
			return false, nil
		}
	}
	return false, cli.Fail(cli.Conflict, "binkeeper task show "+id+" names its standbys", "server %s has left the line of task %s meanwhile", target.ServerID, id)
}
