package dump

import (
	"cmp"
	"fmt"

	"binkeeper/archive"
	"binkeeper/internal/binlog"
	"binkeeper/zkpaths"
)

const hintClosed = "if another server is meant, see to it that it answers; to begin the next timeline with the one that answers now, at its oldest file: " +
	"binkeeper task resume ID --accept-new-timeline"

// closedPlan begins the timeline after one that is closed, of which the worker that
// has closed it got no further: for what the operator had allowed, if that is still so.
// Anything else is a question of its own, since an answer that was given before the
// timeline was closed knows nothing of that. reason and err are unfit's and the stream's.
func closedPlan(s facts, reason string, err error) (plan, error) {
	intended, server := s.End.Closing(), s.Server.Identity().String()
	if reason == "" && intended.Server == server {
		// Only the stream had shown it, and behind a closed end there is nothing to stream.
		reason = intended.Reason
	}
	begin := plan{Start: binlog.Start{File: s.Files[0].Name}, Begin: cmp.Or(reason, archive.ReasonClosed)}
	block, known := blockedFor[reason]
	switch {
	case !known || intended != (archive.Closing{Reason: reason, Server: server}):
		if answersClosed(s) {
			return begin, nil
		}
		return plan{}, blockedClosed(s, err)
	case accepted(s, reason):
		return begin, nil
	case err != nil:
		return plan{}, err
	}
	return plan{}, Blocked(block.reason, fmt.Errorf("%s is closed, since what the source had was not what came next (%s)", s.End, reason), block.hint)
}

// blockedFor is how a task is blocked for want of a timeline of a reason, and with which
// hint.
var blockedFor = map[string]struct{ reason, hint string }{
	archive.ReasonGap:         {zkpaths.BlockedPurged, hintPurged},
	archive.ReasonDiverged:    {zkpaths.BlockedDiverged, hintDiverged},
	archive.ReasonOtherSource: {zkpaths.BlockedOtherSource, hintDiverged},
}

// answersClosed reports whether the operator, asked because the timeline is closed, has
// answered for the server that is there. An answer of an earlier version does not say
// what it was asked.
func answersClosed(s facts) bool {
	a := s.Spec.Accept
	return a.Answers(zkpaths.AcceptNewTimeline, zkpaths.BlockedClosed, s.Server.Identity().String(), s.Last) && a.Reason == zkpaths.BlockedClosed
}

// blockedClosed says for what the timeline was closed, and what there is instead: err,
// nil if the source would continue it.
func blockedClosed(s facts, err error) error {
	why := "by an earlier version, which does not say for what"
	if c := s.End.Closing(); c != (archive.Closing{}) {
		why = fmt.Sprintf("to begin another one for the server %s (%s)", c.Server, c.Reason)
	}
	now := fmt.Sprintf("the server %s answers, which may well continue it", s.Server.Identity().String())
	switch {
	case err != nil:
		now = err.Error()
	case s.Found != "":
		now = fmt.Sprintf("the server %s answers, which does not continue it (%s)", s.Server.Identity().String(), s.Found)
	}
	return Blocked(zkpaths.BlockedClosed, fmt.Errorf("%s was closed %s, which has not begun; now %s", s.End, why, now), hintClosed)
}
