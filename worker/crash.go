package worker

import (
	"context"
	"errors"
	"time"

	"binkeeper/internal/backoff"
	"binkeeper/internal/coord"
	"binkeeper/internal/guard"
	"binkeeper/worker/dump"
	"binkeeper/zkpaths"
)

// calm is how long after a panic the next one is as good as the first.
const calm = 10 * time.Minute

// crashes are the panics of one task, each within calm of the one before.
type crashes struct {
	inARow int
	last   time.Time
}

// next counts one more.
func (c crashes) next(now time.Time) crashes {
	if c.inARow > 0 && now.Sub(c.last) >= calm {
		c.inARow = 0
	}
	return crashes{c.inARow + 1, now}
}

// crashed gives the task up after a panic in what was done for it: nothing of the term
// runs any more, and a standby may take over at once. It returns when it is time to join
// the line again, later each time: what one worker stumbles over, all may.
func (m *member) crashed(stop, alive context.Context, cause *guard.PanicError) {
	m.meter.errors.add(dump.ReasonPanic)
	m.log.Error().Err(cause).Str("stack", string(cause.Stack)).Str("hint", cause.Hint()).Msg("leaving the task's line after a panic")
	m.retire(alive, cause)
	m.crashes = m.crashes.next(time.Now())
	select {
	case <-time.After(backoff.Delay(m.crashes.inARow)):
	case <-stop.Done():
	case <-alive.Done():
	case <-m.sess.Done():
	}
}

// retire takes the own instance out of the line, whatever it takes, and says why in the
// status where this worker is the one to speak. An instance that stayed would hold the
// line up.
func (m *member) retire(alive context.Context, cause *guard.PanicError) {
	if m.inst == nil {
		return
	}
	defer m.forget()
	for {
		changed := m.sess.Changed()
		err := m.withdraw(alive, cause)
		if !errors.Is(err, coord.ErrDisconnected) {
			if err != nil {
				m.log.Warn().Err(err).Msg("could not leave the line; the instance ends with the session")
			}
			return
		}
		select {
		case <-changed:
		case <-alive.Done():
			return
		case <-m.sess.Done():
			return
		}
	}
}

func (m *member) withdraw(ctx context.Context, cause *guard.PanicError) error {
	ctx, cancel := context.WithTimeout(ctx, m.sess.Timeout())
	defer cancel()
	// What is read for it may be what the panic was about.
	if err := guard.Call(func() error { return m.sayStopped(ctx, cause) }); err != nil {
		m.log.Debug().Err(err).Msg("status not written")
	}
	return m.inst.Leave(ctx)
}

// sayStopped writes the status of a primary that is none any more, or of a claim that
// has come to nothing.
func (m *member) sayStopped(ctx context.Context, cause *guard.PanicError) error {
	status, err := m.inst.Status(ctx)
	own := m.inst.Place()
	if err != nil || status.Instance != own.Name && !(status.State == zkpaths.StateStopped && m.observed().First) {
		return err
	}
	status = status.Say(zkpaths.StateStopped, own, status.Term, time.Now(), dump.ReasonPanic, cause.Error(), cause.Hint())
	m.meter.say(status)
	return m.inst.SetStatus(ctx, status)
}
