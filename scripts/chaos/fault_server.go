package main

import (
	"context"
	"errors"
	"strings"
	"syscall"

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
					return &endedError{server.Addr()}
				}
				server.Kill()
			}
			return nil
		},
		heal: restored(struck),
	}
}

// stopZooKeeper is SIGSTOP, and SIGCONT later.
func (r *rig) stopZooKeeper(struck []*servers.ZooKeeperServer) fault {
	return fault{
		strike: func(context.Context) error {
			for _, server := range struck {
				if !server.Running() {
					return &endedError{server.Addr()}
				}
				if err := server.Pause(); err != nil {
					return err
				}
			}
			return nil
		},
		heal: restored(struck),
	}
}

// restored lets the servers go on that are stopped, and starts those that have ended: a strike may have struck some only.
func restored(struck []*servers.ZooKeeperServer) func(context.Context) error {
	return func(ctx context.Context) error {
		starts, ctx := errgroup.WithContext(ctx)
		for _, server := range struck {
			if server.Running() {
				starts.Go(server.Continue)
			} else {
				starts.Go(func() error { return server.Start(ctx) })
			}
		}
		return starts.Wait()
	}
}

// ofDisk plans a fault of the disk that one archive has of its own. It has met something once a worker's log says of the
// store that there was its cause.
func ofDisk(do, undo func(context.Context, *rig) error, cause syscall.Errno) func(*rig, context.Context, strike) (fault, error) {
	return func(r *rig, _ context.Context, _ strike) (fault, error) {
		if r.disk == nil {
			return fault{}, missed("there is no disk of its own: it needs root")
		}
		var from witness
		return fault{
			whom:  "the disk",
			holds: []string{"the disk"},
			strike: func(ctx context.Context) (err error) {
				if from, err = r.witness(); err != nil {
					return err
				}
				return do(ctx, r)
			},
			heal: func(ctx context.Context) error {
				met, err := from.saw("store file://"+r.diskArchive(), cause.Error())
				if err := errors.Join(undo(ctx, r), err); err != nil {
					return err
				}
				if !met {
					return missed("no worker has met it")
				}
				return nil
			},
		}, nil
	}
}

// onDisk is what a disk can do by itself.
func onDisk(do func(*faults.FullDisk) error) func(context.Context, *rig) error {
	return func(_ context.Context, r *rig) error { return do(r.disk) }
}

// unplugDisk takes the disk away. A store that is open goes on with it, unseen, so the source's dumps are ended: the next
// one opens the store.
func unplugDisk(ctx context.Context, r *rig) error {
	if err := r.disk.Unplug(); err != nil {
		return err
	}
	source := r.task(diskTask).source
	if err := source.endDumps(ctx); err != nil {
		r.log.tell("the disk is away, and the dumps of %s are not ended: %v", source.name, err)
	}
	return nil
}
