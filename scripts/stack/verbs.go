package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"binkeeper/internal/servers"
	"binkeeper/scripts/internal/localstack"
)

// task is the one that up creates.
const task = "orders"

// part is one process of the stack.
type part struct {
	name, addr, dir string
	start           func(context.Context) error
}

// parts are in the order in which they start.
func parts(s *localstack.Stack) []part {
	list := []part{
		{"source (" + string(s.Kind) + ")", s.SourceAddr(), s.SourceDir(), func(ctx context.Context) error {
			_, err := s.StartSource(ctx)
			return err
		}},
		{"ZooKeeper", s.ZooKeeperAddr(), s.ZooKeeperDir(), func(ctx context.Context) error {
			_, err := s.StartZooKeeper(ctx)
			return err
		}},
	}
	for _, id := range []string{"1", "2"} {
		list = append(list, part{"worker " + id, "", s.WorkerDir(id), func(ctx context.Context) error {
			_, err := s.StartWorker(ctx, id)
			return err
		}})
	}
	return list
}

// up starts what does not run.
func up(ctx context.Context, s *localstack.Stack, chosen bool) error {
	if err := s.Ready(); err != nil {
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	unlock, err := lock(s)
	if err != nil {
		return err
	}
	defer unlock()
	if err := prepare(ctx, s, chosen); err != nil {
		return err
	}
	for _, p := range parts(s) {
		pid, err := servers.FindDetached(p.dir)
		if err != nil {
			return err
		}
		if pid != 0 {
			continue
		}
		fmt.Println("starting", p.name)
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	if _, err := s.CreateTask(ctx, task); err != nil {
		return err
	}
	return status(ctx, s)
}

// prepare installs what is missing, and settles what the stack is.
func prepare(ctx context.Context, s *localstack.Stack, chosen bool) error {
	wanted := s.Kind
	exists, err := loadState(s)
	if err != nil {
		return err
	}
	if exists && chosen && s.Kind != wanted {
		return fmt.Errorf("the stack in %s has a source of kind %s, not %s: make down PURGE=1 removes it", s.Dir, s.Kind, wanted)
	}
	if s.Kind, err = localstack.Install(ctx, s.Kind, exists || chosen, os.Stderr); err != nil || exists {
		return err
	}
	if err := s.DrawPorts(); err != nil {
		return err
	}
	return saveState(s)
}

// status shows what runs and, as far as ZooKeeper does, the tasks and workers.
func status(ctx context.Context, s *localstack.Stack) error {
	exists, err := loadState(s)
	if err != nil {
		return err
	}
	if !exists {
		return errNoStack
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PART\tADDRESS\tPROCESS\tFOLDER")
	reachable := false
	for _, p := range parts(s) {
		pid, err := servers.FindDetached(p.dir)
		if err != nil {
			return err
		}
		process := fmt.Sprint(pid)
		if pid == 0 {
			process = "not running"
		}
		reachable = reachable || pid != 0 && p.dir == s.ZooKeeperDir()
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", p.name, p.addr, process, p.dir)
	}
	if err := table.Flush(); err != nil || !reachable {
		return err
	}
	for _, args := range [][]string{{"task", "list"}, {"workers"}} {
		shown, err := s.Binkeeper(ctx, args...)
		if err != nil {
			return err
		}
		fmt.Printf("\n$ %s\n%s", shown.Line, shown.Stdout)
	}
	fmt.Printf("\nexport BINKEEPER_ZOOKEEPER=%s   # for %s\n", s.ZooKeeperAddr(), filepath.Join(s.Programs, "binkeeper"))
	return nil
}

// down stops what runs, the newest first: a worker hands over while ZooKeeper is there.
func down(s *localstack.Stack, purge bool) error {
	exists, err := loadState(s)
	if err != nil {
		return err
	}
	if !exists {
		fmt.Println("nothing to stop:", errNoStack)
		return nil
	}
	unlock, err := lock(s)
	if err != nil {
		return err
	}
	defer unlock()
	list := parts(s)
	var errs []error
	for i := range list {
		p := list[len(list)-1-i]
		stopped, err := servers.StopDetached(p.dir)
		if stopped {
			fmt.Println("stopped", p.name)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil || !purge {
		return err
	}
	fmt.Println("removing", s.Dir)
	return os.RemoveAll(s.Dir)
}
