package monitor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// queueLimit is how many alerts may wait in a channel: two for each of 10,000
	// tasks, and some. Beyond it the oldest is dropped.
	queueLimit = 25_000
	// attemptTimeout bounds one attempt to deliver.
	attemptTimeout = 10 * time.Second
	// A failed attempt is repeated after minBackoff, doubling to maxBackoff, until
	// the alert has waited for giveUpAfter. If it is still the last word on what it
	// is about, it goes to the queue's end then, for when the receiver is back.
	minBackoff  = time.Second
	maxBackoff  = time.Minute
	giveUpAfter = 15 * time.Minute
)

// A sender delivers an alert in one attempt: a *permanentError when no other would
// succeed. It may be called by several goroutines.
type sender interface {
	send(ctx context.Context, a *Alert) error
}

// A permanentError is one that no further attempt would mend.
type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }

// A channel is a queue of alerts. The goroutine that calls run delivers them, those of
// one alert in order. The queue never makes its senders wait.
type channel struct {
	name   string // of metrics and logs: no secret
	sender sender
	logger zerolog.Logger
	meters *meters

	mu     sync.Mutex
	queue  []waiting
	closed bool
	wake   chan struct{} // holds one value after a change
}

// waiting is an alert in a queue.
type waiting struct {
	alert *Alert
	since time.Time
}

var errFull = errors.New("the queue is full")

func newChannel(name string, s sender, m *meters, logger zerolog.Logger) *channel {
	m.knowChannel(name)
	return &channel{name: name, sender: s, logger: logger.With().Str("channel", name).Logger(), meters: m, wake: make(chan struct{}, 1)}
}

// offer queues an alert.
func (c *channel) offer(a *Alert) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == queueLimit {
		c.giveUp(c.queue[0].alert, errFull)
		c.queue = c.queue[1:]
	}
	c.queue = append(c.queue, waiting{a, time.Now()})
	c.notifyLocked()
}

// finish lets run end once the queue is empty.
func (c *channel) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.notifyLocked()
}

func (c *channel) notifyLocked() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run delivers until ctx ends, or until the queue is empty after finish.
func (c *channel) run(ctx context.Context) {
	failures := 0
	for {
		next, closed := c.first()
		if next.alert == nil {
			if closed {
				return
			}
			select {
			case <-c.wake:
			case <-ctx.Done():
				return
			}
			continue
		}
		err := c.attempt(ctx, next.alert)
		if err != nil && ctx.Err() != nil {
			return
		}
		switch permanent := (*permanentError)(nil); {
		case err == nil || errors.As(err, &permanent):
			c.done(next, err)
		case time.Since(next.since) >= giveUpAfter:
			c.putOff(next, err)
		}
		if err == nil {
			failures = 0
			continue
		}
		failures++
		select {
		case <-time.After(backoff(failures)):
		case <-ctx.Done():
			return
		}
	}
}

// backoff is the pause after a number of failures in a row.
func backoff(failures int) time.Duration {
	return min(minBackoff<<min(failures-1, 10), maxBackoff)
}

func (c *channel) attempt(ctx context.Context, a *Alert) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	err := c.sender.send(ctx, a)
	c.meters.attempted(c.name, err)
	if err != nil {
		c.logger.Warn().Err(err).Str("alertname", a.Name()).Str("task", a.Task()).Str("status", a.Status).Msg("an alert is not delivered yet")
	}
	return err
}

func (c *channel) first() (next waiting, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) > 0 {
		next = c.queue[0]
	}
	return next, c.closed
}

// done takes an alert from the queue: delivered, or given up because of err.
func (c *channel) done(w waiting, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 || c.queue[0] != w { // dropped meanwhile
		return
	}
	c.queue = c.queue[1:]
	if err != nil {
		c.giveUp(w.alert, err)
	}
}

// putOff makes room for what waits behind an alert that cannot be delivered.
func (c *channel) putOff(w waiting, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 || c.queue[0] != w { // dropped meanwhile
		return
	}
	c.queue = c.queue[1:]
	superseded := slices.ContainsFunc(c.queue, func(later waiting) bool { return later.alert.Fingerprint == w.alert.Fingerprint })
	if superseded || w.alert.once() {
		c.giveUp(w.alert, err)
		return
	}
	c.queue = append(c.queue, waiting{w.alert, time.Now()})
}

func (c *channel) giveUp(a *Alert, err error) {
	c.meters.dropped(c.name)
	c.logger.Error().Err(err).Str("alertname", a.Name()).Str("task", a.Task()).Str("status", a.Status).Msg("an alert is given up")
}

// pending gives what is queued, oldest first.
func (c *channel) pending() []*Alert {
	c.mu.Lock()
	defer c.mu.Unlock()
	alerts := make([]*Alert, len(c.queue))
	for i, w := range c.queue {
		alerts[i] = w.alert
	}
	return slices.Clip(alerts)
}

func (c *channel) length() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// A logSender writes alerts to the log.
type logSender struct{ logger zerolog.Logger }

func (s logSender) send(_ context.Context, a *Alert) error {
	level := zerolog.ErrorLevel
	switch {
	case a.Status == statusResolved, a.Severity() == Info:
		level = zerolog.InfoLevel
	case a.Severity() == Warning:
		level = zerolog.WarnLevel
	}
	event := s.logger.WithLevel(level).Str("alertname", a.Name()).Str("severity", a.Severity()).Str("status", a.Status)
	if a.Task() != "" {
		event = event.Str("task", a.Task())
	}
	for _, name := range []string{"from", "to", "term", "server_id", "summary", "description"} {
		if text, there := a.Annotations[name]; there {
			event = event.Str(name, text)
		}
	}
	event.Msg("alert")
	return nil
}
