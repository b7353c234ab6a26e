package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// takeovers prints how long takeovers last, while a client writes.
func (s *scene) takeovers(ctx context.Context, times int) (err error) {
	defer func() { err = errors.Join(err, s.clear()) }()
	if err := s.set(ctx, "--max-binlog-size=4M"); err != nil {
		return err
	}
	if _, err := s.stack.CreateTask(ctx, task); err != nil {
		return err
	}
	for _, id := range []string{"1", "2"} {
		if err := s.start(ctx, id); err != nil {
			return err
		}
	}
	writing, stop := context.WithCancel(ctx)
	var client errgroup.Group
	client.Go(func() error { return s.write(writing) })
	defer func() {
		stop()
		err = errors.Join(err, client.Wait())
	}()
	strikes := []struct {
		name string
		hit  func(*servers.Program) error
	}{
		{"SIGTERM", (*servers.Program).Stop},
		{"kill -9", func(w *servers.Program) error { w.Kill(); return nil }},
	}
	for _, strike := range strikes {
		var took []time.Duration
		for range times {
			d, err := s.takeover(ctx, strike.hit)
			if err != nil {
				return err
			}
			took = append(took, d)
		}
		slices.Sort(took)
		fmt.Printf("takeover after %s: min %s, median %s, max %s (%d times; session timeout %s, tick 500ms)\n",
			strike.name, round(took[0]), round(took[times/2]), round(took[times-1]), times, s.sessionTimeout)
	}
	return nil
}

// takeover hits the primary once it archives beside a standby, and starts it again.
func (s *scene) takeover(ctx context.Context, hit func(*servers.Program) error) (time.Duration, error) {
	before, err := s.await(ctx, "a primary that archives, and a standby", func(v coord.TaskView) bool {
		return len(v.Line) == 2 && v.Status.State == zkpaths.StateRunning && v.Status.Instance == v.Line[0].Name && v.LastCommit.Commit > 1
	})
	if err != nil {
		return 0, err
	}
	id := before.Status.ServerID
	var group errgroup.Group
	began := time.Now()
	group.Go(func() error { return hit(s.workers[id]) })
	_, err = s.await(ctx, "a takeover", func(v coord.TaskView) bool {
		return v.LastCommit.Term > before.LastCommit.Term && v.LastCommit.ServerID != id
	})
	took := time.Since(began)
	if err := errors.Join(err, group.Wait()); err != nil {
		return 0, err
	}
	return took, s.start(ctx, id)
}

// write commits a transaction every few milliseconds, until ctx ends.
func (s *scene) write(ctx context.Context) error {
	if err := s.source.Exec(ctx, "CREATE DATABASE measured", "CREATE TABLE measured.orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, note TEXT)"); err != nil {
		return err
	}
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pace.C:
		}
		if err := s.source.Exec(ctx, "INSERT INTO measured.orders (note) VALUES (REPEAT('note ', 100))"); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
