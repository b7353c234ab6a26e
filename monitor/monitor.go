package monitor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/coord"
)

const (
	tickEvery = time.Second
	// grace is how much longer than a session lives a task may be without any
	// instance: a worker that is restarted is back by then.
	grace = 5 * time.Second
	// flushTimeout bounds the delivery of what is queued when the monitor ends.
	flushTimeout = 5 * time.Second
)

// Config is what a monitor needs. ZooKeeper, Limits' ages and RepeatInterval are
// required.
type Config struct {
	ZooKeeper coord.Config
	// Limits: DownAfter is the session's timeout and a grace, whatever is given.
	Limits         Limits
	RepeatInterval time.Duration // between two words on an alert that goes on firing
	Webhooks       []string      // URLs; may hold secrets, which are shown nowhere
	Alertmanagers  []string      // URLs below which /api/v2/alerts is
	HeartbeatURL   string        // called every minute while all is well; "" for none
	StateFile      string        // "" for none
	Version        string
	Logger         zerolog.Logger
	// Transport carries the requests of all channels; nil means
	// http.DefaultTransport.
	Transport http.RoundTripper
}

// A Monitor watches all tasks of one ensemble.
type Monitor struct {
	cfg           Config
	logger        zerolog.Logger
	meters        *meters
	channels      []*channel
	alertmanagers []*alertmanager
	heart         *heart        // nil without one
	ticked        atomic.Int64  // ns since 1970
	changed       chan struct{} // holds one value while the state file is old
	testing       sync.Mutex    // held over a test of the channels

	mu           sync.Mutex // of what Run's goroutine writes
	fleet        map[string]*memory
	there        map[string]bool // the tasks that are listed
	known        map[string]bool // the tasks that are there or have vanished, and are not being removed
	ledger       ledger
	connectivity connectivity
	limits       Limits
}

// New returns a monitor that is not running yet. Its error is about a URL, which
// it does not repeat, or a *StateError.
func New(cfg Config) (*Monitor, error) {
	now := time.Now()
	m := &Monitor{
		cfg: cfg, logger: cfg.Logger, changed: make(chan struct{}, 1),
		fleet: map[string]*memory{}, there: map[string]bool{}, known: map[string]bool{}, ledger: ledger{}, connectivity: newConnectivity(now), limits: cfg.Limits,
	}
	m.limits.DownAfter = coord.DefaultTimeout + grace
	m.ticked.Store(now.UnixNano())
	m.meters = newMeters(cfg.Version, m.read)
	if err := m.makeChannels(); err != nil {
		return nil, err
	}
	if err := m.restore(now); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Monitor) makeChannels() error {
	client := newClient(m.cfg.Transport)
	m.channels = []*channel{newChannel("log", logSender{m.logger}, m.meters, m.logger)}
	for i, text := range m.cfg.Webhooks {
		u, err := checkURL(text)
		if err != nil {
			return &URLError{"webhook", err}
		}
		m.channels = append(m.channels, newChannel(numbered("webhook", i), &webhook{u, client}, m.meters, m.logger))
	}
	for i, text := range m.cfg.Alertmanagers {
		u, err := checkURL(text)
		if err != nil {
			return &URLError{"alertmanager", err}
		}
		name := numbered("alertmanager", i)
		am := newAlertmanager(u, client, m.logger.With().Str("channel", name).Logger())
		m.alertmanagers = append(m.alertmanagers, am)
		m.channels = append(m.channels, newChannel(name, am, m.meters, m.logger))
	}
	if m.cfg.HeartbeatURL == "" {
		return nil
	}
	u, err := checkURL(m.cfg.HeartbeatURL)
	if err != nil {
		return &URLError{"heartbeat-url", err}
	}
	m.heart = &heart{u, client, m.meters}
	return nil
}

// A URLError says which flag has a URL that cannot be used, and not what it is: it
// may hold a secret.
type URLError struct {
	Flag string // without dashes
	Err  error
}

// Error is the message, on one line.
func (e *URLError) Error() string { return fmt.Sprintf("--%s: %v", e.Flag, e.Err) }

// Unwrap is the cause.
func (e *URLError) Unwrap() error { return e.Err }

// numbered is a channel's name: webhook, webhook-2, webhook-3.
func numbered(kind string, i int) string {
	if i == 0 {
		return kind
	}
	return fmt.Sprintf("%s-%d", kind, i+1)
}

// restore takes over the state file, and proves that it can be written.
func (m *Monitor) restore(now time.Time) error {
	if m.cfg.StateFile == "" {
		return nil
	}
	saved, err := readState(m.cfg.StateFile)
	if broken := (*StateError)(nil); errors.As(err, &broken) && broken.Newer {
		return err
	} else if err != nil {
		m.logger.Error().Err(err).Msg("what an earlier monitor said is not known: it is said again")
	}
	for _, id := range saved.Tasks {
		m.known[id] = true
	}
	var firing []*Alert
	for _, e := range saved.Firing {
		if e.Said.After(now) { // the wall clock was set back
			e.Said = now
		}
		m.ledger[keyOf(e.Alert)] = e
		firing = append(firing, e.Alert)
	}
	for _, am := range m.alertmanagers {
		am.seed(firing)
	}
	for _, c := range m.channels {
		for _, a := range saved.Pending[c.name] {
			c.offer(a)
		}
	}
	return m.save()
}

// save writes the state file, if there is one.
func (m *Monitor) save() error {
	if m.cfg.StateFile == "" {
		return nil
	}
	state := savedState{SavedAt: time.Now().UTC(), Pending: map[string][]*Alert{}}
	m.mu.Lock()
	state.Firing, state.Tasks = m.ledger.entries(), slices.Sorted(maps.Keys(m.known))
	m.mu.Unlock()
	for _, c := range m.channels {
		if pending := c.pending(); len(pending) > 0 {
			state.Pending[c.name] = pending
		}
	}
	return state.write(m.cfg.StateFile)
}

// Run watches until ctx ends, and then returns nil, or that the state could not be
// saved. It tries for ever to reach ZooKeeper.
func (m *Monitor) Run(ctx context.Context) error {
	seen := make(chan func(observer))
	var watching, delivering sync.WaitGroup
	look := &survey{zookeeper: m.cfg.ZooKeeper, tell: func(f func(observer)) {
		select {
		case seen <- f:
		case <-ctx.Done():
		}
	}}
	watching.Go(func() { look.run(ctx) })
	watching.Go(func() { m.keepState(ctx) })
	if m.heart != nil {
		watching.Go(func() { m.heart.run(ctx, m.well, m.complainOfHeart) })
	}
	delivery, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	for _, c := range m.channels {
		delivering.Go(func() { c.run(delivery) })
	}
	for _, am := range m.alertmanagers {
		watching.Go(func() { am.run(ctx) })
	}
	m.loop(ctx, seen)
	watching.Wait()
	flushed := time.AfterFunc(flushTimeout, hangUp)
	defer flushed.Stop()
	for _, c := range m.channels {
		c.finish()
	}
	delivering.Wait()
	return m.save()
}

// loop observes, decides and acts until ctx ends.
func (m *Monitor) loop(ctx context.Context, seen <-chan func(observer)) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case tell := <-seen:
			m.mu.Lock()
			tell(&update{m, time.Now()})
			m.mu.Unlock()
		case <-tick.C:
			m.mu.Lock()
			(&update{m, time.Now()}).tick()
			m.mu.Unlock()
			m.ticked.Store(time.Now().UnixNano())
		case <-ctx.Done():
			return
		}
	}
}

// keepState writes the state file after changes, at most once a second, and for at
// most a tenth of the time.
func (m *Monitor) keepState(ctx context.Context) {
	failed := false
	for {
		select {
		case <-m.changed:
		case <-ctx.Done():
			return
		}
		began := time.Now()
		err := m.save()
		if err != nil && !failed {
			m.logger.Error().Err(err).Str("hint", hintOf(err)).Msg("cannot save the state")
		}
		failed = err != nil
		select {
		case <-time.After(max(time.Second, 10*time.Since(began))):
		case <-ctx.Done():
			return
		}
	}
}

// well reports whether all tasks were seen lately.
func (m *Monitor) well() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.connectivity.clear() && time.Since(m.connectivity.swept) <= sweepBound
}

func (m *Monitor) complainOfHeart(err error) {
	if err != nil {
		m.logger.Warn().Err(err).Msg("the heartbeat URL does not answer")
	} else {
		m.logger.Info().Msg("the heartbeat URL answers again")
	}
}
