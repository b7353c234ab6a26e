// Command demo shows in half a minute what Binkeeper is for, on real servers: it backs a source up while clients
// write to it, kills the primary worker with kill -9, hands over to another, and compares every closed binlog file
// with the archive's, byte for byte.
//
// It runs from the module's folder. What it starts it ends, also when it is interrupted; it removes its folder
// unless something went wrong. Exit codes: 0 all bytes are equal, 1 something is not as it should be, 64 usage,
// 130 interrupted.
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

	"binkeeper/internal/servers"
	"binkeeper/scripts/internal/localstack"
)

func main() { os.Exit(run()) }

func run() int {
	programs := flag.String("programs", "bin", "`folder` of the built programs")
	source := flag.String("source", os.Getenv("SOURCE"), "`kind` of the source: mysql, mariadb or mariadb-11.8; default mysql, or mariadb where there is none")
	flag.Parse()
	kind, chosen, err := localstack.ParseKind(*source)
	if err != nil || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "demo:", errors.Join(err, unexpected(flag.Args())))
		return 64
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = perform(ctx, *programs, kind, chosen)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "demo: interrupted")
		return 130
	}
	fmt.Fprintln(os.Stderr, "demo:", err)
	if hint := (interface{ Hint() string })(nil); errors.As(err, &hint) {
		fmt.Fprintln(os.Stderr, "hint:", hint.Hint())
	}
	return 1
}

func unexpected(args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("unexpected arguments %q", args)
}

// perform prepares the stage, plays the demo on it and clears it.
func perform(ctx context.Context, programs string, kind servers.Kind, chosen bool) error {
	programs, err := filepath.Abs(programs)
	if err != nil {
		return err
	}
	story := newStory(os.Stdout)
	if kind, err = localstack.Install(ctx, kind, chosen, os.Stderr); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "binkeeper-demo-")
	if err != nil {
		return err
	}
	d := &demo{
		stack:   localstack.Stack{Dir: dir, Programs: programs, Kind: kind},
		story:   story,
		workers: map[string]*servers.Program{},
	}
	err = d.play(ctx)
	err = errors.Join(err, d.close(err == nil))
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: everything it started is ended; its data and logs are in %s (*/log, */server.log, zookeeper/1/server.log)\n", dir)
		return err
	}
	return os.RemoveAll(dir)
}
