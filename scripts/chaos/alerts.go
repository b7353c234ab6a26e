package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// flapping fires when the primary has changed too often within an hour, so it outlasts everything here.
const flapping = "BinkeeperFlapping"

// alerts is a webhook that keeps what the monitor has sent last of each alert.
type alerts struct {
	monitor  string // the monitor's address
	listener net.Listener
	server   *http.Server
	served   sync.WaitGroup

	mu    sync.Mutex
	fired map[string]int  // how often, by name
	open  map[string]bool // by name and task
}

// A message is what is read of an alert's JSON: Alertmanager's webhook, one alert each.
type message struct {
	Alerts []struct {
		Status string            `json:"status"`
		Labels map[string]string `json:"labels"`
	} `json:"alerts"`
}

func listenForAlerts() (*alerts, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	a := &alerts{listener: listener, fired: map[string]int{}, open: map[string]bool{}}
	a.server = &http.Server{Handler: http.HandlerFunc(a.receive)}
	a.served.Go(func() { a.server.Serve(listener) })
	return a, nil
}

func (a *alerts) url() string { return "http://" + a.listener.Addr().String() + "/" }

func (a *alerts) close() error {
	err := a.server.Close()
	a.served.Wait()
	return err
}

func (a *alerts) receive(rw http.ResponseWriter, request *http.Request) {
	var m message
	if err := json.NewDecoder(request.Body).Decode(&m); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, alert := range m.Alerts {
		name := alert.Labels["alertname"]
		if alert.Labels["severity"] == "info" { // once per change, never resolved
			continue
		}
		key := name + " of " + alert.Labels["task"]
		if firing := alert.Status == "firing"; firing && !a.open[key] {
			a.fired[name]++
			a.open[key] = true
		} else if !firing {
			delete(a.open, key)
		}
	}
}

// left are the alerts that have not been resolved but should be, by what was sent and by what the monitor itself says.
func (a *alerts) left(ctx context.Context) ([]string, error) {
	said, err := a.ask(ctx)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for key := range a.open {
		said = append(said, key)
	}
	slices.Sort(said)
	said = slices.Compact(said)
	return slices.DeleteFunc(said, func(key string) bool { return len(key) > len(flapping) && key[:len(flapping)] == flapping }), nil
}

// ask gives what the monitor says to be firing.
func (a *alerts) ask(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, looking)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.monitor+"/api/v1/alerts", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var m message
	if err := json.NewDecoder(response.Body).Decode(&m); err != nil {
		return nil, fmt.Errorf("read the monitor's alerts: %w", err)
	}
	var keys []string
	for _, alert := range m.Alerts {
		keys = append(keys, alert.Labels["alertname"]+" of "+alert.Labels["task"])
	}
	return keys, nil
}

// alertPatience is how long an alert may outlast what has caused it: durable_time is written every 10 s, and a lone
// worker is one for a minute.
const alertPatience = 40 * time.Second

// awaitQuiet waits until no alert is open, and returns those that stay.
func (a *alerts) awaitQuiet(ctx context.Context) error {
	for deadline := time.Now().Add(alertPatience); ; pause(ctx, lookEvery) {
		left, err := a.left(ctx)
		if err == nil && len(left) == 0 {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return errors.Join(err, fmt.Errorf("alerts are open %s after all is well: %v", alertPatience, left))
		}
	}
}
