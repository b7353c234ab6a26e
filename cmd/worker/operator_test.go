//go:build integration

package main

import (
	"fmt"
	"strings"
	"time"

	"binkeeper/zkpaths"
)

// change is what a command of the operator does to the spec.
func (s *stage) change(change func(*zkpaths.Spec)) {
	s.t.Helper()
	_, err := s.sess.UpdateSpec(s.t.Context(), task, func(spec *zkpaths.Spec) error { change(spec); return nil })
	if err != nil {
		s.t.Fatal(err)
	}
}

// setDesired is task pause and task resume.
func (s *stage) setDesired(desired string) {
	s.t.Helper()
	s.change(func(spec *zkpaths.Spec) { spec.Desired = desired })
}

// accept answers the block that the task is in.
func (s *stage) accept(answer string) {
	s.t.Helper()
	v := s.look()
	end := v.LastCommit
	s.change(func(spec *zkpaths.Spec) {
		spec.Accept = &zkpaths.Accept{Answer: answer, Timeline: end.Timeline, File: end.File, Position: end.Position,
			Reason: v.Status.Reason, Server: v.Status.SeenServer, At: zkpaths.At(time.Now())}
	})
}

// awaitBlocked waits until the task is blocked, and wants it to be for reason, with a hint.
func (s *stage) awaitBlocked(reason string) view {
	s.t.Helper()
	v := s.await("a block", func(v view) bool { return v.Status.State == zkpaths.StateBlocked })
	if v.Status.Reason != reason || v.Status.Detail == "" || v.Status.Hint == "" {
		s.t.Fatalf("blocked for %q (%s; hint %q), want %q and a hint", v.Status.Reason, v.Status.Detail, v.Status.Hint, reason)
	}
	return v
}

// awaitTrouble waits until the primary says that it cannot archive, in these words, and wants it to be for reason, with a
// hint.
func (s *stage) awaitTrouble(reason, words string) view {
	s.t.Helper()
	v := s.await(fmt.Sprintf("%q", words), func(v view) bool {
		return v.Status.State == zkpaths.StateStarting && strings.Contains(v.Status.Detail, words)
	})
	if v.Status.Reason != reason || v.Status.Hint == "" {
		s.t.Errorf("starting for %q (%s; hint %q), want %q and a hint", v.Status.Reason, v.Status.Detail, v.Status.Hint, reason)
	}
	return v
}
