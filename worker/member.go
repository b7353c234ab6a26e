package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"binkeeper/internal/backoff"
	"binkeeper/internal/coord"
	"binkeeper/internal/failure"
	"binkeeper/internal/guard"
	"binkeeper/worker/dump"
	"binkeeper/zkpaths"

	"github.com/rs/zerolog"
)

// A member stands in one task's line, in one session.
type member struct {
	w    *Worker
	sess *coord.Session
	task string
	log  zerolog.Logger

	meter *taskMeter

	// What is observed. specs and line are the newest seen.
	specs     <-chan coord.SpecView
	spec      coord.SpecView
	specKnown bool
	removed   time.Time // since when spec removes a task that has vanished; zero: it does not
	lines     <-chan []zkpaths.Place
	line      []zkpaths.Place
	lineKnown bool
	unfollow  context.CancelFunc // ends lines

	inst       *coord.Instance // nil: not in the line
	failures   int             // in a row
	yieldAfter time.Duration   // of the newest term: see nextYieldAfter
	yielded    int64           // the term that was yielded for want of source or store, until the next one
	said       string          // the last trouble logged
	crashes    crashes

	answered     bool // the operator has changed something since the last refusal
	steppedAside bool // see stepAside; until a claim
}

func newMember(w *Worker, sess *coord.Session, task string) *member {
	return &member{
		w: w, sess: sess, task: task, meter: w.meters.of(task), yieldAfter: w.bounds.unreachable,
		log: w.log.With().Str("task", task).Logger(),
	}
}

// run stands in the line until stop or alive ends. stop asks for good order: a
// primary hands over, a standby leaves the line. alive is over when everything
// is to be dropped at once.
func (m *member) run(stop, alive context.Context) {
	following, unfollow := context.WithCancel(alive)
	defer unfollow()
	m.specs = m.sess.FollowSpec(following, m.task)
	defer m.forget()
	for alive.Err() == nil && m.sess.Err() == nil {
		if stop.Err() != nil {
			m.leave(alive)
			return
		}
		if p := guard.Panicked(guard.Call(func() error { return m.step(stop, alive) })); p != nil {
			m.crashed(stop, alive, p)
		}
	}
}

// step does one thing and waits for the next. Its error is a panic.
func (m *member) step(stop, alive context.Context) error {
	changed := m.sess.Changed() // before looking, so that no change is missed
	next := decideInLine(m.observed())
	err := m.act(stop, alive, next)
	if guard.Panicked(err) != nil {
		return err
	}
	m.note(err)
	if next == standBy || next == leave || err != nil {
		m.await(stop, alive, changed, err)
	}
	return nil
}

func (m *member) observed() lineFacts {
	p := lineFacts{
		SpecKnown: m.specKnown, Gone: m.spec.Gone, Desired: m.spec.Spec.Desired, Stands: m.stands() > 0,
		Joined: m.inst != nil, LineKnown: m.inst != nil && m.lineKnown,
		Connected: m.sess.Disconnected() == 0,
	}
	if p.LineKnown {
		for i, q := range m.line {
			if q.Name == m.inst.Place().Name {
				p.InLine, p.First = true, i == 0
			}
		}
	}
	return p
}

func (m *member) act(stop, alive context.Context, next lineAction) error {
	// Reads wait for ZooKeeper, but no longer than this member has use for them.
	busy, cancel := context.WithCancel(alive)
	defer cancel()
	defer context.AfterFunc(stop, cancel)()
	switch next {
	case join:
		return m.join(busy)
	case forget:
		if !m.spec.Gone {
			m.log.Warn().Str("instance", m.inst.Place().Name).Msg("own instance is gone; registering again")
		}
		m.forget()
	case leave:
		return m.leave(alive)
	case claim:
		return m.serveTerm(stop, alive, busy)
	}
	return nil
}

func (m *member) join(ctx context.Context) error {
	inst, err := m.sess.Join(ctx, m.task, m.w.instance())
	if err != nil {
		return fmt.Errorf("join the line: %w", err)
	}
	m.enter(inst)
	m.log.Info().Str("instance", inst.Place().Name).Msg("standing in line")
	return nil
}

// enter makes inst the own instance. The line is followed from after its
// creation on, so that a line without it means that it is gone.
func (m *member) enter(inst *coord.Instance) {
	m.forget()
	ctx, cancel := context.WithCancel(context.Background())
	m.inst, m.unfollow, m.lines = inst, cancel, m.sess.FollowLine(ctx, m.task)
	m.meter.become(roleStandby)
}

func (m *member) forget() {
	if m.inst == nil {
		return
	}
	m.unfollow()
	if m.lines != nil {
		for range m.lines { // until the follower has ended
		}
	}
	m.inst, m.lines, m.line, m.lineKnown = nil, nil, nil, false
	m.meter.become("")
}

// leave takes the own instance out of the line, and the task's nodes away when
// the task is being removed. Its error says that they are still in use: by a worker
// that leaves now, or by one that has died, until its session ends.
func (m *member) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.sess.Timeout())
	defer cancel()
	if m.inst != nil {
		if err := m.inst.Leave(ctx); err != nil {
			m.log.Debug().Err(err).Msg("could not leave the line; the instance ends with the session")
		}
		m.forget()
	}
	if m.specKnown && !m.spec.Gone && m.spec.Spec.Desired == zkpaths.Removed && m.stands() == 0 {
		return m.sess.RemoveTask(ctx, m.task)
	}
	return nil
}

// stands is for how long the spec that removes a vanished task is still to stand; 0
// also of every other spec.
func (m *member) stands() time.Duration {
	if m.removed.IsZero() {
		return 0
	}
	return max(0, m.w.bounds.vanished-time.Since(m.removed))
}

// serveTerm claims a term and serves it to its end. It returns what went wrong with the
// claim, or a panic of the term's. busy ends with stop too: it bounds the claim alone.
func (m *member) serveTerm(stop, alive, busy context.Context) error {
	t, status, err := m.claim(busy)
	if errors.Is(err, errHandedOn) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("claim the task: %w", err)
	}
	m.failures, m.answered, m.steppedAside = 0, false, false
	m.yieldAfter, m.yielded = nextYieldAfter(m.yieldAfter, m.w.bounds.unreachable, m.yielded, status.Transitions), 0
	m.meter.claimed(status)
	m.log.Info().Int64("term", t.Number()).Str("instance", m.inst.Place().Name).Msg("became primary")
	next, err := newTerm(m, t, status).run(stop, alive)
	m.meter.become(roleStandby)
	if next != nil {
		m.enter(next)
	}
	m.log.Info().AnErr("cause", err).Int64("term", t.Number()).Msg("no longer primary")
	if guard.Panicked(err) != nil {
		return err
	}
	return nil
}

// await waits for one event, or after an error for the next try.
func (m *member) await(stop, alive context.Context, changed <-chan struct{}, err error) {
	var retry, due <-chan time.Time
	if err != nil {
		m.failures++
		delay := backoff.Delay(m.failures)
		if dump.IsBlocked(err) {
			delay = m.w.bounds.blockedLook
		}
		retry = time.After(delay)
	} else {
		m.failures = 0
		if left := m.stands(); left > 0 {
			due = time.After(left)
		}
	}
	for {
		select {
		case <-stop.Done():
			return
		case <-alive.Done():
			return
		case <-m.sess.Done():
			return
		case <-changed:
			return
		case <-retry:
			return
		case <-due:
			return
		case v, ok := <-m.specs:
			before := m.spec.Spec
			m.sawSpec(v, ok)
			if dump.IsBlocked(err) {
				m.answered = m.answered || answered(before, m.spec.Spec)
				return
			}
			if retry == nil {
				return
			}
		case line, ok := <-m.lines:
			m.sawLine(line, ok)
			if retry == nil {
				return
			}
		}
	}
}

func (m *member) sawSpec(v coord.SpecView, ok bool) {
	if !ok {
		m.specs = nil
		return
	}
	if v.Err != nil && m.specKnown {
		m.log.Warn().Err(v.Err).Str("hint", failure.Hint(v.Err)).Msg("keeping to the last good spec")
		return
	}
	m.spec, m.specKnown = v, true
	if v.Gone || !v.Spec.RemovesVanished() {
		m.removed = time.Time{}
	} else if m.removed.IsZero() {
		m.removed = time.Now()
	}
	if !v.Gone {
		m.meter.leaving.Store(v.Spec.Desired == zkpaths.Removed)
	}
}

func (m *member) sawLine(line []zkpaths.Place, ok bool) {
	if !ok {
		m.lines = nil // the session is over
		return
	}
	m.line, m.lineKnown = line, true
}

// note logs trouble once, not at every retry.
func (m *member) note(err error) {
	if err == nil {
		m.said = ""
		return
	}
	if inUse := (*coord.InUseError)(nil); errors.As(err, &inUse) {
		m.log.Debug().Err(err).Msg("the task is not removed yet; trying again")
		return
	}
	m.meter.erred(err)
	if text := err.Error(); text != m.said && m.sess.Err() == nil {
		m.said = text
		m.log.Warn().Err(err).Str("hint", failure.Hint(err)).Msg("cannot serve the task yet; trying again")
	}
}
