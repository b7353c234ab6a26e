package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

func (p *program) taskPause() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "pause ID",
		Short: "Stop backing up a task until it is resumed",
		Long: `Stop backing up a task until it is resumed. Its workers keep their places; the
source keeps its connection free. What the source purges meanwhile is lost.

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.Conflict, cli.NoZooKeeper, cli.TimedOut),
		Example:           "  binkeeper task pause orders --wait",
		Args:              oneTask,
		ValidArgsFunction: p.completeTask,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.setDesired(cmd, args[0], zkpaths.Paused, zkpaths.StatePaused, wait)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "until the task says that it is paused")
	return cmd
}

// The answers to a blocked task: the flag, and the reasons that it answers.
var answers = []struct {
	flag, answer, help string
	reasons            []string
}{
	{"accept-gap", zkpaths.AcceptGap, "what the source purged, or cannot send any more, is lost: begin a new timeline, and record the gap for ever",
		[]string{zkpaths.BlockedPurged, zkpaths.BlockedTorn, zkpaths.BlockedSourceCorrupt}},
	{"accept-new-timeline", zkpaths.AcceptNewTimeline, "the source's history is another one now: begin a new timeline",
		[]string{zkpaths.BlockedDiverged, zkpaths.BlockedOtherSource, zkpaths.BlockedClosed}},
	{"accept-archive", zkpaths.AcceptArchive, "the archive ends before the checkpoint: go on from the archive's end",
		[]string{zkpaths.BlockedArchiveBehind}},
}

func (p *program) taskResume() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "resume ID",
		Short: "Back up a paused task again, or answer a blocked one",
		Long: `Back up a paused task again, or answer a blocked one: binkeeper task show says
why it is blocked, and which answer there is. Without an answer, the workers look
again at once. An answer holds for this block, its
reason and the server that was seen, and for no other one.

` + exitCodes(cli.OK, cli.Failed, cli.NotFound, cli.Conflict, cli.NoZooKeeper, cli.TimedOut),
		Example:           "  binkeeper task resume orders --wait\n  binkeeper task resume orders --accept-gap",
		Args:              oneTask,
		ValidArgsFunction: p.completeTask,
	}
	flags := cmd.Flags()
	flags.BoolVar(&wait, "wait", false, "until the task says that it is running")
	var names []string
	given := make([]bool, len(answers))
	for i, a := range answers {
		flags.BoolVar(&given[i], a.flag, false, a.help)
		names = append(names, a.flag)
	}
	cmd.MarkFlagsMutuallyExclusive(names...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if i := slices.Index(given, true); i >= 0 {
			return p.answer(cmd, args[0], i, wait)
		}
		return p.setDesired(cmd, args[0], zkpaths.Running, zkpaths.StateRunning, wait)
	}
	return cmd
}

// setDesired says what the operator wants, and with wait until it is so.
func (p *program) setDesired(cmd *cobra.Command, id, desired, state string, wait bool) error {
	changed := false
	err := p.updateSpec(cmd.Context(), id, func(s *zkpaths.Spec) error {
		changed = s.Desired != desired
		s.Desired = desired
		if desired == zkpaths.Running {
			s.ResumedAt = zkpaths.At(time.Now())
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.settled(cmd, id, desired, state, changed, wait)
}

// settled reports a change of desired, and with wait when the state is reached.
func (p *program) settled(cmd *cobra.Command, id, desired, state string, changed, wait bool) error {
	if !wait {
		return p.report(cmd, id, changed, "desired is "+desired)
	}
	err := p.await(cmd.Context(), id, state, func(v coord.TaskView) (bool, error) {
		return v.StatusErr == nil && v.Status.State == state, nil
	})
	if err != nil {
		return err
	}
	return p.report(cmd, id, changed, "is "+state)
}

// answer writes the i-th of answers for the present block.
func (p *program) answer(cmd *cobra.Command, id string, i int, wait bool) error {
	var accept *zkpaths.Accept
	err := p.inZooKeeper(cmd.Context(), func(ctx context.Context, s *coord.Session) error {
		view, err := s.Look(ctx, id)
		if err != nil {
			return err
		}
		accept, err = acceptance(id, i, view, time.Now())
		return err
	})
	if err != nil {
		return err
	}
	err = p.updateSpec(cmd.Context(), id, func(s *zkpaths.Spec) error {
		s.Desired, s.Accept, s.ResumedAt = zkpaths.Running, accept, accept.At
		return nil
	})
	if err != nil {
		return err
	}
	return p.settled(cmd, id, zkpaths.Running, zkpaths.StateRunning, true, wait)
}

// acceptance is the i-th of answers to the question that the task in view asks.
// To no question, or another one, it is a conflict: a loss is accepted by
// an operator who knows of it.
func acceptance(id string, i int, view coord.TaskView, now time.Time) (*zkpaths.Accept, error) {
	if view.StatusErr != nil {
		return nil, fmt.Errorf("task %s: %w", id, view.StatusErr)
	}
	if view.LastCommitErr != nil {
		return nil, fmt.Errorf("task %s: %w", id, view.LastCommitErr)
	}
	state, reason := view.Status.State, view.Status.Reason
	if state != zkpaths.StateBlocked {
		return nil, cli.Fail(cli.Conflict, "an answer is taken when binkeeper task show says that the task is blocked, and why",
			"task %s is %s, not blocked: there is nothing to accept", id, state)
	}
	if !slices.Contains(answers[i].reasons, reason) {
		return nil, cli.Fail(cli.Conflict, answerTo(id, reason), "task %s is blocked by %s, which --%s does not answer", id, reason, answers[i].flag)
	}
	last := view.LastCommit
	return &zkpaths.Accept{
		Answer: answers[i].answer, Timeline: last.Timeline, File: last.File, Position: last.Position,
		Reason: reason, Server: view.Status.SeenServer, At: zkpaths.At(now),
	}, nil
}

func answerTo(id, reason string) string {
	for _, a := range answers {
		if slices.Contains(a.reasons, reason) {
			return fmt.Sprintf("the answer is binkeeper task resume %s --%s", id, a.flag)
		}
	}
	return "binkeeper task show " + id + " says what to do"
}
