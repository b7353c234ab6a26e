package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"binkeeper/worker/dump"
	"binkeeper/zkpaths"
)

// A block that concerns one host goes round the line once: the primary that finds
// it hands the task on, and so does the next, until all in the line have found one.
// What they have found goes with the status. A round begins anew when a worker joins
// the line or the operator answers, and is over when the task runs.

// hostReasons are the blocks that concern one host, perhaps: what it has mounted, what
// its flags allow, which version it runs.
var hostReasons = map[string]bool{
	zkpaths.BlockedArchiveBehind: true,
	zkpaths.BlockedArchiveBroken: true,
	zkpaths.BlockedOtherTask:     true,
	zkpaths.BlockedNoPosition:    true,
	zkpaths.BlockedNotAllowed:    true,
	zkpaths.BlockedNewerFormat:   true,
}

// maxFindings bounds a status: of a longer line the rest is not asked.
const maxFindings = 64

// errHandedOn says that the task was left to the next in line.
var errHandedOn = errors.New("handed on to the next in line")

// A round is how a block stands after one more worker has found it.
type round struct {
	findings []zkpaths.Finding
	handOn   bool // another worker in the line has not looked yet
}

// state is the task's next state. It is blocked when all in the line have looked, or when
// the task is blocked now; else it is otherwise.
func (r round) state(now, otherwise string) string {
	if r.handOn && now != zkpaths.StateBlocked {
		return otherwise
	}
	return zkpaths.StateBlocked
}

// goRound adds to findings what own has found.
func goRound(findings []zkpaths.Finding, reason string, own zkpaths.Place, line []zkpaths.Place, now time.Time) round {
	found := standing(findings, line)
	if !hostReasons[reason] {
		return round{findings: found} // all would find the same
	}
	found = slices.DeleteFunc(found, func(f zkpaths.Finding) bool { return f.ServerID == own.ServerID })
	found = append(found, zkpaths.Finding{ServerID: own.ServerID, Instance: own.Name, Reason: reason, At: zkpaths.At(now)})
	return round{findings: found, handOn: len(found) < maxFindings && untried(found, line, own)}
}

// standing are the findings of those who stand in the line still. One who has gone to
// its end is there under a new name.
func standing(findings []zkpaths.Finding, line []zkpaths.Place) []zkpaths.Finding {
	var kept []zkpaths.Finding
	for _, f := range findings {
		at := slices.IndexFunc(line, func(p zkpaths.Place) bool {
			return p.Name == f.Instance || f.Instance == "" && p.ServerID == f.ServerID
		})
		if at >= 0 {
			f.Instance = line[at].Name
			kept = append(kept, f)
		}
	}
	return kept
}

// untried reports whether another worker in the line than own has found nothing so far.
func untried(findings []zkpaths.Finding, line []zkpaths.Place, own zkpaths.Place) bool {
	return slices.ContainsFunc(line, func(p zkpaths.Place) bool {
		return p.Name != own.Name && !slices.ContainsFunc(findings, func(f zkpaths.Finding) bool { return f.Instance == p.Name })
	})
}

// atEnd is s as own leaves it when it goes to the end of the line, where it will stand
// under a name that it does not know yet. A task that is blocked stays so meanwhile:
// its alert does not end each time that one more worker looks.
func atEnd(s zkpaths.Status, own zkpaths.Place) zkpaths.Status {
	s.Findings = slices.Clone(s.Findings)
	for i, f := range s.Findings {
		if f.Instance == own.Name {
			s.Findings[i].Instance = ""
		}
	}
	if s.State == zkpaths.StateBlocked {
		s.Instance = "" // it has not vanished
	}
	return s
}

// claimed is what a claim of the given term makes of s.
func claimed(s zkpaths.Status, own zkpaths.Place, line []zkpaths.Place, term int64, now time.Time) zkpaths.Status {
	s.Findings = standing(s.Findings, line)
	if s.State == zkpaths.StateBlocked && s.Instance == "" {
		return s.Say(s.State, own, term, now, s.Reason, s.Detail, s.Hint) // handed on: see atEnd
	}
	return s.Say(zkpaths.StateStarting, own, term, now, "", "", "")
}

// foundBlock records the block that the term's dump has found.
func (t *term) foundBlock(e dump.Ending) {
	r := goRound(t.status.Findings, e.Reason, t.m.inst.Place(), t.m.line, time.Now())
	t.handOn, t.status.Findings = r.handOn, r.findings
	t.trouble(r.state(t.status.State, zkpaths.StateStarting), e)
	t.status.SeenServer = e.Seen
}

// lookAgain makes the next attempt due at once, and the beginning of a new round.
func (t *term) lookAgain() {
	t.attempts.retryAt, t.handOn, t.status.Findings = time.Time{}, false, nil
}

// refuse says that this worker cannot claim the task, because of block: in status, or
// by leaving it to the next in line.
func (m *member) refuse(ctx context.Context, status zkpaths.Status, block *dump.BlockedError) error {
	own := m.inst.Place()
	if m.answered {
		status.Findings, m.answered = nil, false
	}
	r := goRound(status.Findings, block.Reason, own, m.line, time.Now())
	status = status.Say(r.state(status.State, zkpaths.StateStopped), own, status.Term, time.Now(), block.Reason, block.Error(), block.Hint())
	status.Findings, status.SeenServer = r.findings, ""
	m.meter.say(status)
	if !r.handOn {
		return errors.Join(block, m.inst.SetStatus(ctx, status))
	}
	last := atEnd(status, own)
	return m.stepBack(ctx, &last, block)
}

// stepAside is refuse where a newer version has written the status: what the others
// have found cannot be read. The line goes round, a step at each look, until one of the
// newer version is first.
func (m *member) stepAside(ctx context.Context, newer *zkpaths.NewerFormatError) error {
	block := &dump.BlockedError{Reason: zkpaths.BlockedNewerFormat, Err: newer, Answer: newer.Hint()}
	if len(m.line) < 2 || m.steppedAside && m.failures == 0 {
		return block
	}
	m.steppedAside = true
	return m.stepBack(ctx, nil, block)
}

// stepBack moves this worker to the end of the line because of block.
func (m *member) stepBack(ctx context.Context, last *zkpaths.Status, block *dump.BlockedError) error {
	next, err := m.inst.StepBack(ctx, last, m.w.instance())
	if err != nil {
		return errors.Join(block, err)
	}
	m.log.Warn().Err(block).Str("reason", block.Reason).Str("hint", block.Hint()).Msg("cannot claim the task; leaving it to the next in line")
	m.meter.erred(block)
	m.enter(next)
	return fmt.Errorf("%w: %w", errHandedOn, block)
}
