package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// pauseTask is task pause, and task resume later. It has met something once a worker says that the task is paused.
func (r *rig) pauseTask(_ context.Context, s strike) (fault, error) {
	var began time.Time
	return fault{
		whom:  s.target,
		holds: []string{s.target + "'s spec"},
		strike: func(ctx context.Context) error {
			began = time.Now()
			_, err := r.binkeeper(ctx, "task", "pause", s.target)
			return err
		},
		heal: func(ctx context.Context) error {
			if err := r.resume(ctx, s.target); err != nil {
				return err
			}
			view, err := r.view.look(ctx, s.target)
			switch {
			case err != nil:
				return missed("nobody knows whether the task was paused: %v", err)
			case !pausedSince(view.Status, began):
				return missed("no worker has paused the task")
			}
			return nil
		},
	}, nil
}

// pausedSince reports whether the task has become paused since then, however briefly.
func pausedSince(status zkpaths.Status, then time.Time) bool {
	then = then.Truncate(time.Millisecond) // as a status has its times
	return slices.ContainsFunc(status.Transitions, func(t zkpaths.Transition) bool {
		return t.To == zkpaths.StatePaused && !t.At.Before(then)
	})
}

// resume is task resume, as often as it takes to reach ZooKeeper.
func (r *rig) resume(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		_, err := r.binkeeper(ctx, "task", "resume", id)
		if err == nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, lookEvery)
	}
}

// switchOver is task switchover.
func (r *rig) switchOver(_ context.Context, s strike) (fault, error) {
	return fault{whom: s.target, strike: func(ctx context.Context) error {
		_, err := r.binkeeper(ctx, "task", "switchover", s.target)
		return err
	}}, nil
}

// byHandPatience is how long ZooKeeper's own client may take: it needs a second to start.
const byHandPatience = 8 * time.Second

// byHand runs a command of ZooKeeper's own client, on the first server that serves.
func (r *rig) byHand(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, byHandPatience)
	defer cancel()
	for _, server := range r.zookeeper.Servers() {
		if _, err := server.Mode(ctx); err == nil {
			_, err := servers.ZKCli(ctx, server.Addr(), args...)
			return err
		}
	}
	return missed("no server of the ensemble serves")
}

// deleteInstance deletes an instance as an operator may.
func (r *rig) deleteInstance(ctx context.Context, s strike) (fault, error) {
	place, err := r.place(ctx, s.target)
	if err != nil {
		return fault{}, err
	}
	_, id, _ := strings.Cut(s.target, " of ")
	return fault{whom: place.Name, strike: func(ctx context.Context) error {
		return r.byHand(ctx, "delete", zkpaths.Member(id, place.Name))
	}}, nil
}

// ofNode plans that an operator's command strikes one of a task's nodes.
func ofNode(path func(task string) string, command string, data ...string) func(*rig, context.Context, strike) (fault, error) {
	return func(r *rig, _ context.Context, s strike) (fault, error) {
		args := append([]string{command, path(s.target)}, data...)
		return fault{whom: s.target, strike: func(ctx context.Context) error { return r.byHand(ctx, args...) }}, nil
	}
}
