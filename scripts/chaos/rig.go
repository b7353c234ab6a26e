package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"binkeeper/internal/faults"
	"binkeeper/internal/servers"
)

// diskSize is how large the disk of its own is, in bytes, after so long a run: all of one archive has to fit, and to
// fill the rest takes memory and time.
func diskSize(length time.Duration) int64 { return 256<<20 + int64(length.Minutes())*32<<20 }

// A rig is everything that runs.
type rig struct {
	dir, programs string
	log           *chronicle

	zookeeper *servers.ZooKeeper
	sources   []*source
	tasks     []*task
	workers   []*worker
	monitor   *servers.Program
	alerts    *alerts
	disk      *faults.FullDisk // nil without the right to mount one
	view      *viewer
	tended    func() // ends those who tend it, and waits for them

	mu   sync.Mutex
	held map[string]string // the strike that has it, by the name of what is struck
}

// A source is a server, and the clients that write to it.
type source struct {
	name string // mysql or mariadb
	*servers.Source
	load *load

	mu    sync.Mutex
	reset [][]string // the binlog files of each history that a reset has ended, as they were
}

// A task is backed up by way of a proxy that all workers share.
type task struct {
	id      string
	source  *source
	gate    *faults.Proxy
	archive string // the folder of the store
	options []string
}

// A worker is a process, and the proxies by which it reaches ZooKeeper, one for each server.
type worker struct {
	id string
	*servers.Program
	gates []*faults.Proxy
}

func (w *worker) name() string { return "worker " + w.id }

// start starts everything, and waits until every task is served.
func (r *rig) start(ctx context.Context, o options) error {
	r.held = map[string]string{}
	for _, name := range []string{"worker", "monitor", "binkeeper"} {
		if _, err := os.Stat(filepath.Join(r.programs, name)); err != nil {
			return fmt.Errorf("find the programs: %w", err)
		}
	}
	if err := r.startServers(ctx, o); err != nil {
		return err
	}
	if err := r.createTasks(ctx, o.length); err != nil {
		return err
	}
	if err := r.startMonitor(ctx); err != nil {
		return err
	}
	for n := range len(workerNames) {
		if err := r.startWorker(ctx, strconv.Itoa(n+1)); err != nil {
			return err
		}
	}
	for _, s := range r.sources {
		load, err := startLoad(ctx, s.Source)
		if err != nil {
			return err
		}
		s.load = load
	}
	if err := r.awaitServed(ctx); err != nil {
		return err
	}
	r.tended = r.tend(ctx)
	return nil
}

// startServers starts the ensemble and the sources, all at once.
func (r *rig) startServers(ctx context.Context, o options) error {
	starts, starting := errgroup.WithContext(ctx)
	starts.Go(func() (err error) {
		// What is killed here is processes, so nothing need be synced. The logs are many, and small.
		java := []string{"-Dzookeeper.forceSync=no", "-Dzookeeper.preAllocSize=512"}
		r.zookeeper, err = servers.StartZooKeeper(starting, servers.ZooKeeperOptions{Dir: filepath.Join(r.dir, "zookeeper"), Servers: len(serverNames), JavaArgs: java})
		return err
	})
	kinds := []servers.Kind{servers.MySQL, o.mariadb}
	r.sources = make([]*source, len(kinds))
	for n, kind := range kinds {
		starts.Go(func() error {
			s, err := servers.StartSource(starting, servers.SourceOptions{
				Kind: kind, Dir: filepath.Join(r.dir, sourceNames[n]),
				Args: []string{"--max-binlog-size=8M", "--innodb-flush-log-at-trx-commit=1"}, // sync-binlog is 1 anyway
			})
			if err == nil {
				r.sources[n] = &source{name: sourceNames[n], Source: s}
			}
			return err
		})
	}
	return starts.Wait()
}

func (r *rig) createTasks(ctx context.Context, length time.Duration) error {
	r.view = &viewer{servers: strings.Split(r.zookeeper.Addr(), ",")}
	if err := os.Mkdir(r.secrets(), 0o700); err != nil {
		return err
	}
	password := filepath.Join(r.secrets(), "password")
	if err := os.WriteFile(password, []byte(servers.Password+"\n"), 0o600); err != nil {
		return err
	}
	if err := r.mountDisk(diskSize(length)); err != nil {
		return err
	}
	small := []string{"--segment-size", "256KiB", "--flush-interval", "100ms", "--checkpoint-interval", "100ms"}
	for n, id := range taskNames {
		t := &task{id: id, source: r.sources[n/2], archive: filepath.Join(r.dir, "archive")}
		if n%2 == 1 {
			t.options = small
		}
		if id == diskTask {
			t.archive = r.diskArchive()
		}
		if err := r.createTask(ctx, t, password); err != nil {
			return err
		}
	}
	return nil
}

// createTask creates a task whose source is a proxy.
func (r *rig) createTask(ctx context.Context, t *task, password string) (err error) {
	if t.gate, err = faults.NewProxy(t.source.Addr(), faults.Raw); err != nil {
		return err
	}
	r.tasks = append(r.tasks, t)
	if err := os.MkdirAll(t.archive, 0o755); err != nil {
		return err
	}
	args := []string{
		"task", "create", t.id, "--source", "mysql://" + servers.User + "@" + t.gate.Addr(),
		"--password-ref", "file:" + password, "--archive", "file://" + t.archive,
	}
	_, err = r.binkeeper(ctx, append(args, t.options...)...)
	return err
}

// mountDisk gives the archive of one task a disk of its own, where that is allowed.
func (r *rig) mountDisk(size int64) (err error) {
	dir := filepath.Join(r.dir, "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		r.log.tell("a disk of its own needs root: the strikes on it will miss")
		return nil
	}
	r.disk, err = faults.NewFullDisk(dir, size)
	return err
}

// secrets is the folder of the sources' password.
func (r *rig) secrets() string { return filepath.Join(r.dir, "secrets") }

// diskArchive is a folder on the disk, so that it is gone when the disk is.
func (r *rig) diskArchive() string { return filepath.Join(r.dir, "disk", "archive") }

func (r *rig) startWorker(ctx context.Context, id string) error {
	w := &worker{id: id}
	r.workers = append(r.workers, w)
	var addrs []string
	for _, server := range r.zookeeper.Servers() {
		gate, err := faults.NewProxy(server.Addr(), faults.Raw)
		if err != nil {
			return err
		}
		w.gates, addrs = append(w.gates, gate), append(addrs, gate.Addr())
	}
	var err error
	w.Program, err = servers.StartProgram(ctx, servers.ProgramOptions{
		Name: w.name(),
		Dir:  filepath.Join(r.dir, "worker-"+id),
		Command: []string{
			filepath.Join(r.programs, "worker"), "--server-id", id, "--zookeeper", strings.Join(addrs, ","),
			"--session-timeout", sessionTimeout.String(), "--secrets-dir", r.secrets(), "--listen", "127.0.0.1:0", "--log-format", "json",
		},
	})
	return err
}

func (r *rig) startMonitor(ctx context.Context) (err error) {
	if r.alerts, err = listenForAlerts(); err != nil {
		return err
	}
	port, err := servers.FreePort()
	if err != nil {
		return err
	}
	r.alerts.monitor = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	dir := filepath.Join(r.dir, "monitor")
	r.monitor, err = servers.StartProgram(ctx, servers.ProgramOptions{
		Name: "monitor",
		Dir:  dir,
		Command: []string{
			filepath.Join(r.programs, "monitor"), "--zookeeper", r.zookeeper.Addr(), "--listen", r.alerts.monitor,
			"--webhook", r.alerts.url(), "--state-file", filepath.Join(dir, "state.json"), "--log-format", "json",
		},
	})
	return err
}

// awaitServed waits until each task has a primary that archives.
func (r *rig) awaitServed(ctx context.Context) error {
	for _, t := range r.tasks {
		if _, err := r.view.await(ctx, t.id, "a primary that archives", startPatience, serves); err != nil {
			return err
		}
	}
	return nil
}

// startPatience is how long a fresh rig may take to serve its tasks.
const startPatience = 40 * time.Second

// close ends everything at once.
func (r *rig) close() error {
	if r.tended != nil {
		r.tended()
	}
	var errs []error
	for _, w := range r.workers {
		if w.Program != nil {
			w.Close()
		}
		for _, gate := range w.gates {
			gate.Close()
		}
	}
	for _, t := range r.tasks {
		t.gate.Close()
	}
	if r.monitor != nil {
		r.monitor.Close()
	}
	if r.alerts != nil {
		errs = append(errs, r.alerts.close())
	}
	if r.view != nil {
		r.view.close()
	}
	for _, s := range r.sources {
		if s != nil {
			if s.load != nil {
				s.load.stop()
			}
			errs = append(errs, s.Close())
		}
	}
	if r.zookeeper != nil {
		r.zookeeper.Close()
	}
	return errors.Join(append(errs, r.closeDisk())...)
}

// closeDisk takes the disk away. What was archived on it stays, beside the rest, when something is wrong.
func (r *rig) closeDisk() error {
	if r.disk == nil {
		return nil
	}
	var err error
	if r.log.problems() > 0 {
		err = os.CopyFS(filepath.Join(r.dir, "disk-archive"), os.DirFS(r.diskArchive()))
	}
	return errors.Join(err, r.disk.Close())
}
