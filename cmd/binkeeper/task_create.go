package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/internal/taskspec"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

// createFlags are those of task create.
type createFlags struct {
	source, passwordRef, archive, start string
	segmentSize                         cli.Size
	flush, checkpoint                   time.Duration
	ifNotExists, skipChecks             bool
}

func (p *program) taskCreate() *cobra.Command {
	f := &createFlags{segmentSize: 8 << 20}
	cmd := &cobra.Command{
		Use:   "create ID --source URL --password-ref REF --archive URL",
		Short: "Create a task, after checking that it can work",
		Long: `Create a task, after checking that it can work: the source answers, lets the user
in and is fit; the store keeps what is written once; the password is found here.
Workers begin with it at once.

An archive that already holds this task id is adopted when it is of this source:
so tasks come back after ZooKeeper's data is lost. It is this task's from then on: one
that has written there before, and is alive in another ensemble, is blocked (other-task).

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.Conflict, cli.NoZooKeeper, cli.NoStore, cli.NoSource),
		Example: `  binkeeper task create orders --source mysql://binkeeper@db1:3306 \
    --password-ref file:/etc/binkeeper/orders.password --archive file:///backup/binlogs`,
		Args: oneTask,
		RunE: func(cmd *cobra.Command, args []string) error { return p.create(cmd, args[0], f) },
	}
	f.add(cmd.Flags())
	for _, name := range []string{"source", "password-ref", "archive"} {
		cobra.CheckErr(cmd.MarkFlagRequired(name))
	}
	return cmd
}

func (f *createFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.source, "source", "", source.URLForm+", without a password")
	flags.StringVar(&f.passwordRef, "password-ref", "", "where each worker finds the password: file:PATH or env:NAME")
	flags.StringVar(&f.archive, "archive", "", "the store, as file:///absolute/path that all workers see")
	flags.StringVar(&f.start, "start", zkpaths.StartEarliest, "where to begin: earliest, current, or a binlog file's name")
	flags.Var(&f.segmentSize, "segment-size", "the size at which a segment is closed")
	flags.DurationVar(&f.flush, "flush-interval", time.Second, "how long after its first event a segment is closed")
	flags.DurationVar(&f.checkpoint, "checkpoint-interval", time.Second, "how often the checkpoint is written at most")
	flags.BoolVar(&f.ifNotExists, "if-not-exists", false, "leave a task that exists as it is, and succeed")
	flags.BoolVar(&f.skipChecks, "skip-checks", false, "contact nothing but ZooKeeper")
}

// spec is the task that the flags ask for, with an identity drawn at random, or
// a usage error.
func (f *createFlags) spec(now time.Time) (zkpaths.Spec, error) {
	spec := zkpaths.Spec{
		Source: f.source, PasswordRef: f.passwordRef, Archive: f.archive, Start: f.start,
		SegmentSize: int64(f.segmentSize), FlushInterval: zkpaths.Duration(f.flush), CheckpointInterval: zkpaths.Duration(f.checkpoint),
		Desired: zkpaths.Running, TaskUID: uuid.NewString(), ReplicaUUID: uuid.NewString(), ReplicaServerID: newServerID(nil), CreatedAt: zkpaths.At(now),
	}
	return spec, cli.Usage(taskspec.CheckValues(spec))
}

func (p *program) create(cmd *cobra.Command, id string, f *createFlags) error {
	spec, err := f.spec(time.Now())
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	if err := p.inZooKeeper(ctx, func(ctx context.Context, s *coord.Session) error { return mustBeNew(ctx, s, id) }); err != nil {
		return p.created(cmd, id, f, "", err)
	}
	message := "created"
	var held *holding
	if !f.skipChecks {
		warn := func(text string) { cli.Warn(cmd.ErrOrStderr(), programName, text) }
		if held, err = checkTask(ctx, id, &spec, warn); err != nil {
			return err
		}
		spec.Owner = true
		if held.adopted() {
			message = "created; it goes on with the archive that was there, which is no other task's any more"
		}
	}
	err = p.inZooKeeper(ctx, func(ctx context.Context, s *coord.Session) error {
		err := s.CreateTask(ctx, id, spec)
		if held != nil && errors.Is(err, coord.ErrTaskExists) {
			err = giveWay(ctx, s, id, spec, held)
		}
		return err
	})
	return p.created(cmd, id, f, message, err)
}

// giveWay releases the archive for the task that another command has created first,
// and returns coord.ErrTaskExists.
func giveWay(ctx context.Context, s *coord.Session, id string, spec zkpaths.Spec, held *holding) error {
	there, _, err := s.Spec(ctx, id)
	if err == nil && there.TaskUID == spec.TaskUID {
		return nil // it is this one, and was changed since
	}
	if err != nil && !errors.Is(err, coord.ErrNoTask) {
		return err
	}
	if err := held.release(ctx); err != nil {
		return err
	}
	return coord.ErrTaskExists
}

// created says what has come of a task's creation.
func (p *program) created(cmd *cobra.Command, id string, f *createFlags, message string, err error) error {
	switch {
	case err == nil:
		return p.report(cmd, id, true, message)
	case !errors.Is(err, coord.ErrTaskExists):
		return err
	case f.ifNotExists:
		return p.report(cmd, id, false, "exists already, left as it is")
	}
	return cli.Fail(cli.Conflict, fmt.Sprintf("see binkeeper task show %s; choose another id, or change it with binkeeper task set", id), "task %s exists already", id)
}

// mustBeNew returns coord.ErrTaskExists, or a conflict for a task that is being
// removed: that of one that had vanished gives way.
func mustBeNew(ctx context.Context, s *coord.Session, id string) error {
	spec, _, err := s.Spec(ctx, id)
	switch {
	case errors.Is(err, coord.ErrNoTask), err == nil && spec.RemovesVanished():
		return nil
	case err == nil && spec.Desired == zkpaths.Removed:
		return beingRemoved(id)
	case err != nil && cli.ErrorCode(err) == cli.NoZooKeeper, ctx.Err() != nil:
		return err
	}
	return coord.ErrTaskExists
}

func beingRemoved(id string) error {
	return cli.Fail(cli.Conflict, "wait for it with binkeeper task remove "+id+" --wait", "task %s is being removed", id)
}
