package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"binkeeper/internal/faults"
	"binkeeper/internal/servers"
)

// ofServer plans a fault of one server of the ensemble; with but, of all others.
func ofServer(plan func(*rig, []*servers.ZooKeeperServer) fault, but bool) func(*rig, context.Context, strike) (fault, error) {
	return func(r *rig, _ context.Context, s strike) (fault, error) {
		var names []string
		var struck []*servers.ZooKeeperServer
		for _, name := range serverNames {
			if (name == s.target) != but {
				names, struck = append(names, name), append(struck, r.server(name))
			}
		}
		f := plan(r, struck)
		f.whom, f.holds = strings.Join(names, " and "), names
		return f, nil
	}
}

// killZooKeeper is kill -9, and a start later.
func (r *rig) killZooKeeper(struck []*servers.ZooKeeperServer) fault {
	return fault{
		strike: func(context.Context) error {
			for _, server := range struck {
				if !server.Running() {
					return fmt.Errorf("%s has ended by itself", server.Addr())
				}
				server.Kill()
			}
			return nil
		},
		heal: func(ctx context.Context) error {
			starts, ctx := errgroup.WithContext(ctx)
			for _, server := range struck {
				starts.Go(func() error { return server.Start(ctx) })
			}
			return starts.Wait()
		},
	}
}

// stopZooKeeper is SIGSTOP, and SIGCONT later.
func (r *rig) stopZooKeeper(struck []*servers.ZooKeeperServer) fault {
	each := func(do func(*servers.ZooKeeperServer) error) func(context.Context) error {
		return func(context.Context) error {
			var errs []error
			for _, server := range struck {
				errs = append(errs, do(server))
			}
			return errors.Join(errs...)
		}
	}
	return fault{strike: each((*servers.ZooKeeperServer).Pause), heal: each((*servers.ZooKeeperServer).Continue)}
}

// ofDisk plans a fault of the disk that one archive has of its own.
func ofDisk(do, undo func(*faults.FullDisk) error) func(*rig, context.Context, strike) (fault, error) {
	return func(r *rig, _ context.Context, _ strike) (fault, error) {
		if r.disk == nil {
			return fault{}, missed("there is no disk of its own: it needs root")
		}
		return fault{
			whom:   "the disk",
			holds:  []string{"the disk"},
			strike: func(context.Context) error { return do(r.disk) },
			heal:   func(context.Context) error { return undo(r.disk) },
		}, nil
	}
}
