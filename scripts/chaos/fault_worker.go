package main

import (
	"context"
	"fmt"
	"syscall"

	"binkeeper/internal/faults"
)

// ofWorker plans a fault of a worker's process.
func ofWorker(plan func(*rig, *worker) fault) func(*rig, context.Context, strike) (fault, error) {
	return func(r *rig, ctx context.Context, s strike) (fault, error) {
		w, err := r.worker(ctx, s.target)
		if err != nil {
			return fault{}, err
		}
		f := plan(r, w)
		f.whom, f.holds = w.name(), []string{w.name()}
		return f, nil
	}
}

// killed is kill -9, and a start later.
func killed(r *rig, w *worker) fault {
	return fault{
		strike: func(context.Context) error {
			w.Kill()
			if code := w.ExitCode(); code != -1 {
				return missed("it had ended by itself, with exit code %d", code)
			}
			return nil
		},
		heal: func(ctx context.Context) error { return w.Start(ctx) },
	}
}

// terminated is SIGTERM, and a start later, when it has ended.
func terminated(r *rig, w *worker) fault {
	return fault{
		strike: func(context.Context) error {
			if !w.Running() {
				return missed("it is not running")
			}
			if err := syscall.Kill(w.Pid(), syscall.SIGTERM); err != nil {
				return missed("it has just ended: %v", err)
			}
			return nil
		},
		heal: func(ctx context.Context) error {
			if err := r.awaitEnd(ctx, w); err != nil {
				return err
			}
			return w.Start(ctx)
		},
	}
}

// stopped is SIGSTOP, and SIGCONT later.
func stopped(_ *rig, w *worker) fault {
	return fault{
		strike: func(context.Context) error {
			if !w.Running() {
				return missed("it is not running")
			}
			return w.Pause()
		},
		heal: func(context.Context) error { return w.Continue() },
	}
}

// ofCoord plans a fault of the network between a worker and all of ZooKeeper.
func ofCoord(of faults.Kind) func(*rig, context.Context, strike) (fault, error) {
	return func(r *rig, ctx context.Context, s strike) (fault, error) {
		w, err := r.worker(ctx, s.target)
		if err != nil {
			return fault{}, err
		}
		return ofNetwork(w.name()+"'s ZooKeeper", w.gates, of, s), nil
	}
}

// ofGate plans a fault of the network between all workers and a task's source.
func ofGate(of faults.Kind) func(*rig, context.Context, strike) (fault, error) {
	return func(r *rig, _ context.Context, s strike) (fault, error) {
		return ofNetwork(s.target+"'s source", []*faults.Proxy{r.task(s.target).gate}, of, s), nil
	}
}

// ofNetwork is a fault of proxies, which has to meet something before it is healed.
func ofNetwork(name string, gates []*faults.Proxy, of faults.Kind, s strike) fault {
	struck := func() (n int64) {
		for _, gate := range gates {
			n += gate.Struck(of)
		}
		return n
	}
	var before int64
	return fault{
		whom:  name,
		holds: []string{name},
		strike: func(context.Context) error {
			before = struck()
			for _, gate := range gates {
				switch of {
				case faults.Cut:
					gate.Cut()
				case faults.Freeze:
					gate.Freeze()
				case faults.Delay:
					gate.Delay(s.degree)
				case faults.DropReplies:
					gate.DropReplies()
				}
			}
			return nil
		},
		heal: func(context.Context) error {
			met := struck() - before
			for _, gate := range gates {
				gate.Heal()
			}
			if met == 0 {
				return missed("nothing passed")
			}
			return nil
		},
	}
}

// killMonitor is kill -9, and a start later.
func (r *rig) killMonitor(context.Context, strike) (fault, error) {
	return fault{
		whom:  "monitor",
		holds: []string{"monitor"},
		strike: func(context.Context) error {
			r.monitor.Kill()
			if code := r.monitor.ExitCode(); code != -1 {
				return fmt.Errorf("%w, with exit code %d", &endedError{"the monitor"}, code)
			}
			return nil
		},
		heal: func(ctx context.Context) error { return r.monitor.Start(ctx) },
	}, nil
}
