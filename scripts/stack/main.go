// Command stack keeps a source, ZooKeeper and two workers running on loopback, to try Binkeeper on. It runs from the
// module's folder.
//
//	stack up       start what does not run, and create the task "orders"
//	stack status   show what runs, its tasks and workers
//	stack down     stop exactly what up has started; --purge removes its data too
//
// Everything lies in one folder, .stack by default. Exit codes: 0 done, 1 something went wrong, 64 usage,
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

	"binkeeper/scripts/internal/localstack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:])
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "stack:", err)
	if hint := (interface{ Hint() string })(nil); errors.As(err, &hint) {
		fmt.Fprintln(os.Stderr, "hint:", hint.Hint())
	}
	switch {
	case errors.Is(err, errUsage):
		os.Exit(64)
	case ctx.Err() != nil:
		os.Exit(130)
	}
	os.Exit(1)
}

var errUsage = errors.New("want up, status or down; see --help")

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet("stack "+args[0], flag.ContinueOnError)
	dir := flags.String("dir", ".stack", "`folder` of the stack")
	programs := flags.String("programs", "bin", "`folder` of the built programs")
	source := flags.String("source", os.Getenv("SOURCE"), "for up, `kind` of a new stack's source: mysql, mariadb or mariadb-11.8; default mysql, or mariadb where there is none")
	purge := flags.Bool("purge", false, "for down, remove the data too")
	if err := flags.Parse(args[1:]); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%w: unexpected arguments %q", errUsage, flags.Args())
	}
	kind, chosen, err := localstack.ParseKind(*source)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	stack := localstack.Stack{Kind: kind, Detach: true}
	if stack.Dir, err = filepath.Abs(*dir); err != nil {
		return err
	}
	if stack.Programs, err = filepath.Abs(*programs); err != nil {
		return err
	}
	switch args[0] {
	case "up":
		return up(ctx, &stack, chosen)
	case "status":
		return status(ctx, &stack)
	case "down":
		return down(&stack, *purge)
	}
	return errUsage
}
