package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/internal/taskspec"
	"binkeeper/zkpaths"
)

func (p *program) taskSet() *cobra.Command {
	f := &createFlags{}
	cmd := &cobra.Command{
		Use:   "set ID [flags]",
		Short: "Change a task; what is not named stays",
		Long: `Change a task; what is not named stays. The primary takes it up with a new
connection. Nothing is checked at the source: whether the server behind a new
address is the same one, the primary finds out, and blocks the task if not.

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.Conflict, cli.NoZooKeeper),
		Example: "  binkeeper task set orders --source mysql://binkeeper@db2:3306",
		Args:    oneTask,
		RunE:    func(cmd *cobra.Command, args []string) error { return p.set(cmd, args[0], f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.source, "source", "", "the same server's new address, as mysql://user@host:port[?…]")
	flags.StringVar(&f.passwordRef, "password-ref", "", "file:PATH or env:NAME")
	flags.Var(&f.segmentSize, "segment-size", "the size at which a segment is closed")
	flags.DurationVar(&f.flush, "flush-interval", 0, "how long after its first event a segment is closed")
	flags.DurationVar(&f.checkpoint, "checkpoint-interval", 0, "how often the checkpoint is written at most")
	return cmd
}

func (p *program) set(cmd *cobra.Command, id string, f *createFlags) error {
	given := cmd.Flags().Changed
	edits := map[string]func(*zkpaths.Spec){
		"source":              func(s *zkpaths.Spec) { s.Source = f.source },
		"password-ref":        func(s *zkpaths.Spec) { s.PasswordRef = f.passwordRef },
		"segment-size":        func(s *zkpaths.Spec) { s.SegmentSize = int64(f.segmentSize) },
		"flush-interval":      func(s *zkpaths.Spec) { s.FlushInterval = zkpaths.Duration(f.flush) },
		"checkpoint-interval": func(s *zkpaths.Spec) { s.CheckpointInterval = zkpaths.Duration(f.checkpoint) },
	}
	for name := range edits {
		if !given(name) {
			delete(edits, name)
		}
	}
	if len(edits) == 0 {
		return cli.Usagef("task set %s: nothing to change; see binkeeper task set --help", id)
	}
	if err := checkEdits(edits); err != nil {
		return err
	}
	err := p.updateSpec(cmd.Context(), id, func(s *zkpaths.Spec) error {
		for _, edit := range edits {
			edit(s)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.report(cmd, id, true, "changed")
}

// checkEdits finds usage errors before anything is contacted, by means of a spec
// in which all else is right.
func checkEdits(edits map[string]func(*zkpaths.Spec)) error {
	s := zkpaths.Spec{Source: "mysql://u@h", PasswordRef: "env:X", Archive: "/x", Start: zkpaths.StartEarliest, Desired: zkpaths.Running,
		SegmentSize: zkpaths.MinSegmentSize, FlushInterval: zkpaths.Duration(time.Second), CheckpointInterval: zkpaths.Duration(time.Second)}
	for _, edit := range edits {
		edit(&s)
	}
	return cli.Usage(taskspec.CheckValues(s))
}

// updateSpec changes the spec of a task that is not being removed.
func (p *program) updateSpec(ctx context.Context, id string, change func(*zkpaths.Spec) error) error {
	return p.inZooKeeper(ctx, func(ctx context.Context, s *coord.Session) error {
		_, err := s.UpdateSpec(ctx, id, func(spec *zkpaths.Spec) error {
			if spec.Desired == zkpaths.Removed {
				return beingRemoved(id)
			}
			return change(spec)
		})
		return err
	})
}
