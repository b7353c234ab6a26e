// Command measure takes the numbers that no test should hang on, on real servers on loopback: how long a takeover
// lasts after SIGTERM and after kill -9, and how much memory a worker needs while it catches up.
//
// It runs from the module's folder, with the programs built (make build):
//
//	go run ./scripts/measure takeover [--times 20] [--session-timeout 4s]
//	go run ./scripts/measure memory [--size 1200]
//
// A takeover lasts from the signal until lastCommit.term has grown, read from ZooKeeper in a tight loop; the server's
// tick is 500 ms. Memory is the peak resident size that the kernel has noted (VmHWM). What it starts it ends, and it
// removes its folder. Exit codes: 0 done, 1 something went wrong, 64 usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/scripts/internal/localstack"
)

// task is the id of the only task.
const task = "measured"

// errUsage is a command line that says nothing to measure.
var errUsage = errors.New("want takeover or memory; see -h")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	switch {
	case err == nil:
		return
	case errors.Is(err, flag.ErrHelp), errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(64)
	}
	fmt.Fprintln(os.Stderr, "measure:", err)
	os.Exit(1)
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	programs := flags.String("programs", "bin", "`folder` of the built programs")
	source := flags.String("source", "", "`kind` of the source: mysql, mariadb or mariadb-11.8")
	times := flags.Int("times", 20, "how many takeovers of each sort")
	timeout := flags.Duration("session-timeout", 4*time.Second, "the workers'")
	size := flags.Int64("size", 1200, "`MiB` of binlog to catch up with")
	if err := flags.Parse(args[1:]); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	kind, _, err := localstack.ParseKind(*source)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	s := &scene{stack: localstack.Stack{Programs: *programs, Kind: kind}, sessionTimeout: *timeout}
	switch args[0] {
	case "takeover":
		return s.takeovers(ctx, *times)
	case "memory":
		return s.memory(ctx, *size<<20)
	}
	return errUsage
}

// scene is a source, ZooKeeper and workers in a folder of their own.
type scene struct {
	stack          localstack.Stack
	sessionTimeout time.Duration // of the workers
	source         *servers.Source
	zk             *servers.ZooKeeper
	session        *coord.Session
	workers        map[string]*servers.Program // by server id
}

// set starts the servers in a new folder; clear ends everything.
func (s *scene) set(ctx context.Context, args ...string) (err error) {
	s.workers = map[string]*servers.Program{}
	if s.stack.Programs, err = filepath.Abs(s.stack.Programs); err != nil {
		return err
	}
	if s.stack.Dir, err = os.MkdirTemp("", "binkeeper-measure-"); err != nil {
		return err
	}
	if err := errors.Join(s.stack.Ready(), s.stack.DrawPorts()); err != nil {
		return err
	}
	if s.source, err = s.stack.StartSource(ctx, args...); err != nil {
		return err
	}
	if s.zk, err = s.stack.StartZooKeeper(ctx); err != nil {
		return err
	}
	s.session, err = coord.Open(ctx, coord.Config{Servers: []string{s.zk.Addr()}, Timeout: 30 * time.Second, Logger: zerolog.Nop()})
	return err
}

// start starts a worker, or one that has ended again.
func (s *scene) start(ctx context.Context, id string) error {
	if w := s.workers[id]; w != nil {
		return w.Start(ctx)
	}
	w, err := servers.StartProgram(ctx, servers.ProgramOptions{
		Name: "worker " + id, Dir: s.stack.WorkerDir(id),
		Command: []string{
			filepath.Join(s.stack.Programs, "worker"), "--server-id", id, "--zookeeper", s.zk.Addr(),
			"--session-timeout", s.sessionTimeout.String(), "--listen", "127.0.0.1:0", "--log-format", "json",
		},
	})
	if w != nil {
		s.workers[id] = w
	}
	return err
}

func (s *scene) clear() error {
	for _, w := range s.workers {
		w.Close()
	}
	if s.session != nil {
		s.session.Close()
	}
	if s.zk != nil {
		s.zk.Close()
	}
	if s.source != nil {
		if err := s.source.Close(); err != nil {
			return err
		}
	}
	return os.RemoveAll(s.stack.Dir)
}

// await reads the task in a tight loop until it is as wanted.
func (s *scene) await(ctx context.Context, what string, wanted func(coord.TaskView) bool) (coord.TaskView, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		v, err := s.session.Look(ctx, task)
		if err != nil {
			return v, fmt.Errorf("wait for %s: %w", what, err)
		}
		if wanted(v) {
			return v, nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return v, fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
}
