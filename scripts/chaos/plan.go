package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"binkeeper/internal/faults"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// planners say, for each kind, what a strike does to its target.
var planners = map[string]func(*rig, context.Context, strike) (fault, error){
	"worker-kill":        ofWorker(killed),
	"worker-terminate":   ofWorker(terminated),
	"worker-stop-short":  ofWorker(stopped),
	"worker-stop-long":   ofWorker(stopped),
	"coord-cut":          ofCoord(faults.Cut),
	"coord-freeze":       ofCoord(faults.Freeze),
	"coord-delay":        ofCoord(faults.Delay),
	"coord-lose-replies": ofCoord(faults.DropReplies),

	"source-cut":          ofGate(faults.Cut),
	"source-freeze":       ofGate(faults.Freeze),
	"source-delay":        ofGate(faults.Delay),
	"source-lose-replies": ofGate(faults.DropReplies),

	"zookeeper-kill": ofServer((*rig).killZooKeeper, false),
	"zookeeper-stop": ofServer((*rig).stopZooKeeper, false),
	"quorum-loss":    ofServer((*rig).killZooKeeper, true),

	"server-kill":    ofSource(func(s *source) error { s.Kill(); return nil }),
	"server-restart": ofSource(func(s *source) error { return s.Stop() }),
	"dump-kill":      (*rig).killDumps,
	"rotate":         (*rig).rotate,
	"reset":          (*rig).reset,

	"pause":              (*rig).pauseTask,
	"switchover":         (*rig).switchOver,
	"instance-delete":    (*rig).deleteInstance,
	"checkpoint-delete":  ofNode(zkpaths.Checkpoint, "delete"),
	"checkpoint-garbage": ofNode(zkpaths.Checkpoint, "set", "garbage{"),
	"status-delete":      ofNode(zkpaths.State, "delete"),

	"disk-full":      ofDisk(onDisk(func(d *faults.FullDisk) error { _, err := d.Fill(); return err }), onDisk((*faults.FullDisk).Free), syscall.ENOSPC),
	"disk-read-only": ofDisk(onDisk((*faults.FullDisk).ReadOnly), onDisk((*faults.FullDisk).Writable), syscall.EROFS),
	"disk-away":      ofDisk(unplugDisk, onDisk((*faults.FullDisk).Plug), syscall.ENOENT),

	"monitor-kill": (*rig).killMonitor,
}

// plan finds what a strike does, to what is there now.
func (r *rig) plan(ctx context.Context, s strike) (fault, error) { return planners[s.kind](r, ctx, s) }

// worker finds the worker that a target names: by its number, or by its role in a task now.
func (r *rig) worker(ctx context.Context, target string) (*worker, error) {
	id, byNumber := strings.CutPrefix(target, "worker ")
	if !byNumber {
		place, err := r.place(ctx, target)
		if err != nil {
			return nil, err
		}
		id = place.ServerID
	}
	for _, w := range r.workers {
		if w.id == id {
			return w, nil
		}
	}
	return nil, fmt.Errorf("there is no worker %q", id)
}

// place finds the instance that a target names, as "primary of orders".
func (r *rig) place(ctx context.Context, target string) (zkpaths.Place, error) {
	role, id, _ := strings.Cut(target, " of ")
	view, err := r.view.look(ctx, id)
	if err != nil {
		return zkpaths.Place{}, missed("nobody knows who is %s: %v", target, err)
	}
	nth := 0
	if role == "standby" {
		nth = 1
	}
	if len(view.Line) <= nth {
		return zkpaths.Place{}, missed("there is no %s", target)
	}
	return view.Line[nth].Place, nil
}

func (r *rig) task(id string) *task {
	for _, t := range r.tasks {
		if t.id == id {
			return t
		}
	}
	panic("the schedule knows a task that does not exist: " + id)
}

func (r *rig) source(name string) *source {
	for _, s := range r.sources {
		if s.name == name {
			return s
		}
	}
	panic("the schedule knows a source that does not exist: " + name)
}

func (r *rig) server(name string) *servers.ZooKeeperServer {
	n, err := strconv.Atoi(strings.TrimPrefix(name, "zookeeper "))
	if err != nil {
		panic("the schedule knows a server that does not exist: " + name)
	}
	return r.zookeeper.Servers()[n-1]
}
