package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

// A program is what all verbs share: the flags of the root command.
type program struct {
	zookeeper *coord.Ensemble
	timeout   cli.Timeout
	format    format
	dial      func(network, address string, timeout time.Duration) (net.Conn, error) // to ZooKeeper; nil: over TCP
}

// inZooKeeper calls do with a session. All of it, the connection included, is
// given up after --timeout: ZooKeeper is unreachable then.
func (p *program) inZooKeeper(ctx context.Context, do func(context.Context, *coord.Session) error) error {
	bounded, cancel := context.WithTimeout(ctx, time.Duration(p.timeout))
	defer cancel()
	err := p.inSession(bounded, do)
	if err != nil && ctx.Err() != nil {
		return ctx.Err() // interrupted: what broke because of it is no news
	}
	return p.explain(err)
}

func (p *program) inSession(ctx context.Context, do func(context.Context, *coord.Session) error) error {
	s, err := coord.Open(ctx, coord.Config{Servers: p.zookeeper.Servers, Root: p.zookeeper.Root, Dial: p.dial, Logger: zerolog.Nop()})
	if err != nil {
		return err
	}
	defer s.Close()
	return do(ctx, s)
}

// explain says of an error from a session that ZooKeeper is away, where that is
// the trouble, and where to look for tasks that there are.
func (p *program) explain(err error) error {
	own := (*cli.ExitError)(nil)
	if errors.Is(err, coord.ErrNoTask) && !errors.As(err, &own) {
		return cli.Fail(cli.NotFound, "binkeeper task list shows the tasks that there are", "%w", err)
	}
	away := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, coord.ErrDisconnected)
	if !away || errors.As(err, &own) || errors.Is(err, coord.ErrUnreachable) {
		return err
	}
	hint := "check that the ensemble has a quorum; --timeout says how long to try"
	if refused := (*coord.RefusedError)(nil); errors.As(err, &refused) {
		hint = refused.Hint()
	}
	return cli.Fail(cli.NoZooKeeper, hint, "ZooKeeper %s: %w", p.zookeeper, err)
}

// pollInterval is how often poll looks: a status has no watch here, and an
// operator does not notice less.
const pollInterval = 200 * time.Millisecond

// poll attempts until it is done, or fails with cli.TimedOut after --timeout.
// now is what the task is at an attempt that came to nothing.
func (p *program) poll(ctx context.Context, id, goal string, attempt func(context.Context, *coord.Session) (done bool, now string, err error)) error {
	return p.inZooKeeper(ctx, func(ctx context.Context, s *coord.Session) error {
		tick := time.NewTicker(pollInterval)
		defer tick.Stop()
		last := ""
		for {
			done, now, err := attempt(ctx, s)
			if done || err != nil && ctx.Err() == nil && cli.ErrorCode(err) != cli.NoZooKeeper {
				return err
			}
			if err == nil {
				last = now
			}
			select {
			case <-tick.C:
				continue
			case <-ctx.Done():
			}
			if errors.Is(ctx.Err(), context.Canceled) || last == "" {
				return errors.Join(ctx.Err(), err)
			}
			return cli.Fail(cli.TimedOut, "the request stands: see binkeeper task show "+id, "task %s is not %s after %s: %s", id, goal, &p.timeout, last)
		}
	})
}

// await polls until reached says that the task has come to its goal, or fails.
func (p *program) await(ctx context.Context, id, goal string, reached func(coord.TaskView) (bool, error)) error {
	return p.poll(ctx, id, goal, func(ctx context.Context, s *coord.Session) (bool, string, error) {
		view, err := s.Look(ctx, id)
		if err != nil {
			return false, "", err
		}
		done, err := reached(view)
		return done, summary(view), err
	})
}

// oneTask takes a verb's only argument, a task's id.
func oneTask(cmd *cobra.Command, args []string) error {
	if err := cobra.ExactArgs(1)(cmd, args); err != nil {
		return fmt.Errorf("%s: want one task id, got %d arguments", cmd.CommandPath(), len(args))
	}
	return zkpaths.CheckTaskID(args[0])
}

// completeTask offers the ids of the tasks for a verb's first argument.
func (p *program) completeTask(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	err := p.inZooKeeper(cmd.Context(), func(ctx context.Context, s *coord.Session) (err error) {
		ids, err = s.Tasks(ctx)
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return !strings.HasPrefix(id, prefix) })
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// meanings are the exit codes as a command's help explains them.
var meanings = map[int]string{
	cli.OK:          "done",
	cli.Failed:      "another error",
	cli.NotFound:    "no such task, server or archive",
	cli.Conflict:    "it exists, is in use, or the task is in no state for this",
	cli.Mismatch:    "the archive is not what was archived",
	cli.Gap:         "the archive has a hole",
	cli.NoZooKeeper: "ZooKeeper is unreachable",
	cli.NoStore:     "the archive's store is unreachable or refuses",
	cli.NoSource:    "the source is unreachable or unfit (password, log_bin, grants)",
	cli.TimedOut:    "the outcome has not come within --timeout",
	cli.BadUsage:    "wrong usage, bad id, bad URL",
}

// exitCodes is the section of a command's help on the exit codes that it has.
func exitCodes(codes ...int) string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, code := range append(codes, cli.BadUsage) {
		fmt.Fprintf(&b, "  %-3d %s\n", code, meanings[code])
	}
	b.WriteString("  130, 143  ended by SIGINT, SIGTERM")
	return b.String()
}
