package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/scripts/internal/localstack"
)

// task is the id of the demo's only task.
const task = "demo"

// demo is the stage and who is on it.
type demo struct {
	stack     localstack.Stack
	story     *story
	source    *servers.Source
	zookeeper *servers.ZooKeeper
	workers   map[string]*servers.Program // by server id
	session   *coord.Session              // what the audience sees ZooKeeper through
}

// play is the whole demo.
func (d *demo) play(ctx context.Context) error {
	if err := d.startServers(ctx); err != nil {
		return err
	}
	if err := d.startTask(ctx); err != nil {
		return err
	}
	load, err := startLoad(ctx, d.source)
	if err != nil {
		return err
	}
	defer load.Stop()
	d.story.tell("%d clients write to the source, until the last takeover", clients)
	if err := d.loseThePrimary(ctx, load); err != nil {
		return err
	}
	if err := d.handOver(ctx, load); err != nil {
		return err
	}
	if err := load.Stop(); err != nil {
		return fmt.Errorf("write to the source: %w", err)
	}
	if err := d.catchUp(ctx, load); err != nil {
		return err
	}
	return d.compare(ctx, load)
}

func (d *demo) startServers(ctx context.Context) error {
	if err := errors.Join(d.stack.Ready(), d.stack.DrawPorts()); err != nil {
		return err
	}
	d.story.tell("everything happens in %s", d.stack.Dir)
	starts, starting := errgroup.WithContext(ctx)
	starts.Go(func() (err error) {
		d.source, err = d.stack.StartSource(starting, "--max-binlog-size=4M")
		return err
	})
	starts.Go(func() (err error) {
		d.zookeeper, err = d.stack.StartZooKeeper(starting)
		return err
	})
	if err := starts.Wait(); err != nil {
		return err
	}
	var version string
	if err := d.source.DB().QueryRowContext(ctx, "SELECT VERSION()").Scan(&version); err != nil {
		return fmt.Errorf("ask the source for its version: %w", err)
	}
	d.story.tell("a source (%s %s) and ZooKeeper run on %s and %s", d.source.Kind(), version, d.source.Addr(), d.zookeeper.Addr())
	var err error
	d.session, err = coord.Open(ctx, coord.Config{Servers: []string{d.zookeeper.Addr()}, Logger: zerolog.Nop()})
	return err
}

func (d *demo) startTask(ctx context.Context) error {
	created, err := d.stack.CreateTask(ctx, task)
	if err != nil {
		return err
	}
	d.story.tell("a task: back this source up")
	d.story.show(created)
	for _, id := range []string{"1", "2"} {
		if err := d.startWorker(ctx, id); err != nil {
			return err
		}
	}
	d.story.tell("workers 1 and 2 run, with a session timeout of %s", localstack.SessionTimeout)
	return nil
}

func (d *demo) startWorker(ctx context.Context, id string) error {
	w, err := d.stack.StartWorker(ctx, id)
	if w != nil {
		d.workers[id] = w
	}
	return err
}

// loseThePrimary kills the primary while clients write, and starts it again.
func (d *demo) loseThePrimary(ctx context.Context, load *load) error {
	if err := d.letServe(ctx, load); err != nil {
		return err
	}
	lost, err := d.takeOver(ctx, "kill -9", func(w *servers.Program) error { w.Kill(); return nil })
	if err != nil {
		return err
	}
	d.story.tell("worker %s took over %s after the kill, in term %d (the design allows the session timeout, a tick and 1 s: 5.5 s)",
		lost.to, round(lost.took), lost.term)
	if err := d.list(ctx); err != nil {
		return err
	}
	d.story.tell("worker %s is started again, and stands by", lost.from)
	return d.startWorker(ctx, lost.from)
}

// handOver ends the primary in order while clients write, and starts it again.
func (d *demo) handOver(ctx context.Context, load *load) error {
	if err := d.letServe(ctx, load); err != nil {
		return err
	}
	handed, err := d.takeOver(ctx, "SIGTERM", (*servers.Program).Stop)
	if err != nil {
		return err
	}
	if code := d.workers[handed.from].ExitCode(); code != 0 {
		return fmt.Errorf("worker %s ended with exit code %d after SIGTERM, want 0", handed.from, code)
	}
	d.story.tell("worker %s took over %s after the signal, in term %d (the design allows 0.5 s)", handed.to, round(handed.took), handed.term)
	d.story.tell("worker %s is started again, and stands by", handed.from)
	if err := d.startWorker(ctx, handed.from); err != nil {
		return err
	}
	return d.letServe(ctx, load)
}

// letServe waits until a primary has served a while beside a standby, and shows it.
func (d *demo) letServe(ctx context.Context, load *load) error {
	view, err := d.await(ctx, "a primary that archives, and a standby", func(view coord.TaskView) bool {
		return serves(view) && len(view.Line) == len(d.workers)
	})
	if err != nil {
		return err
	}
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	d.story.tell("worker %s is primary in term %d; %d transactions are written so far", view.Status.ServerID, view.Status.Term, load.Transactions())
	return d.list(ctx)
}

func (d *demo) list(ctx context.Context) error {
	listed, err := d.stack.Binkeeper(ctx, "task", "list")
	if err != nil {
		return err
	}
	d.story.show(listed)
	return nil
}

// close ends everything: the workers in order if all went well, else at once.
func (d *demo) close(well bool) error {
	if d.session != nil {
		d.session.Close()
	}
	var stops errgroup.Group
	for _, w := range d.workers {
		stops.Go(func() error {
			if !well {
				w.Close()
				return nil
			}
			return w.Stop()
		})
	}
	err := stops.Wait()
	if d.zookeeper != nil {
		d.zookeeper.Close()
	}
	if d.source != nil {
		err = errors.Join(err, d.source.Close())
	}
	return err
}

// pause lets the clients write for a while.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
