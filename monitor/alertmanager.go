package monitor

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// resendEvery is how often Alertmanager hears of what fires. It takes an alert
	// for resolved at its endsAt, which is kept three times that ahead.
	resendEvery = time.Minute
	keptAhead   = 3 * resendEvery
	// A resolved alert is sent again for resendResolved, in case one Alertmanager of
	// several was away; a change is shown for as long.
	resendResolved = 5 * time.Minute
	// batchSize is how many alerts go into one request.
	batchSize = 500
)

// An alertmanager keeps an Alertmanager's view of what fires up to date, by its
// API, version 2. Its owner calls run besides send.
type alertmanager struct {
	url    *url.URL // of api/v2/alerts
	client *http.Client
	logger zerolog.Logger
	every  time.Duration // resendEvery

	posting sync.Mutex // held over a request: an older word never overtakes a newer one
	mu      sync.Mutex
	known   map[key]*Alert // what fires, and what was resolved lately
}

func newAlertmanager(base *url.URL, client *http.Client, logger zerolog.Logger) *alertmanager {
	return &alertmanager{url: base.JoinPath("api/v2/alerts"), client: client, logger: logger, every: resendEvery, known: map[key]*Alert{}}
}

// A postedAlert is an alert as the API takes it.
type postedAlert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

func (am *alertmanager) posted(a *Alert, now time.Time) postedAlert {
	p := postedAlert{a.Labels, a.Annotations, a.StartsAt, a.EndsAt, a.GeneratorURL}
	switch {
	case a.once():
		p.EndsAt = a.StartsAt.Add(resendResolved)
	case a.Status == statusFiring:
		p.EndsAt = now.UTC().Add(3 * am.every)
	}
	return p
}

// seed takes over what fires already.
func (am *alertmanager) seed(firing []*Alert) {
	am.mu.Lock()
	defer am.mu.Unlock()
	for _, a := range firing {
		am.known[keyOf(a)] = a
	}
}

func (am *alertmanager) send(ctx context.Context, a *Alert) error {
	am.posting.Lock()
	defer am.posting.Unlock()
	if !a.once() && a.Name() != testAlert {
		am.seed([]*Alert{a})
	}
	return post(ctx, am.client, am.url, []postedAlert{am.posted(a, time.Now())})
}

// run sends all that is known again at every interval, until ctx ends.
func (am *alertmanager) run(ctx context.Context) {
	tick := time.NewTicker(am.every)
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := am.resend(ctx)
		if ctx.Err() == nil && err != nil && !failed {
			am.logger.Warn().Err(err).Msg("cannot tell Alertmanager what still fires")
		}
		failed = err != nil
	}
}

func (am *alertmanager) resend(ctx context.Context) error {
	am.posting.Lock()
	defer am.posting.Unlock()
	now := time.Now()
	am.mu.Lock()
	maps.DeleteFunc(am.known, func(_ key, a *Alert) bool {
		return a.Status == statusResolved && now.Sub(a.EndsAt) > resendResolved
	})
	var all []postedAlert
	for _, k := range slices.SortedFunc(maps.Keys(am.known), compareKeys) {
		all = append(all, am.posted(am.known[k], now))
	}
	am.mu.Unlock()
	for batch := range slices.Chunk(all, batchSize) {
		bounded, cancel := context.WithTimeout(ctx, attemptTimeout)
		err := post(bounded, am.client, am.url, batch)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
