package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Run executes root, prints its error under the program's name, and returns the
// exit code.
//
// The command's context ends at the first SIGINT or SIGTERM; a second one ends
// the process at once with 130 or 143. A command that returns nil after the
// first has come to its orderly end: 0. One that returns an error was
// interrupted: 130 or 143.
//
// Whatever is refused before a command runs is a usage error. Run sets root's
// PersistentPreRunE, which no command below may replace.
func Run(name string, root *cobra.Command) int {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	return run(name, root, signals, os.Exit)
}

func run(name string, root *cobra.Command, signals <-chan os.Signal, exit func(int)) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	done, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		watchSignals(signals, done, cancel, exit)
	}()
	err := execute(ctx, root)
	close(done)
	<-watched
	cancel(nil)

	var stop *signalError
	switch interrupted := errors.As(context.Cause(ctx), &stop); {
	case err == nil:
		return OK
	case interrupted && (errors.Is(err, context.Canceled) || errors.Is(err, stop)):
		Print(root.ErrOrStderr(), name, stop)
		return stop.code()
	case interrupted:
		Print(root.ErrOrStderr(), name, err)
		return stop.code()
	}
	Print(root.ErrOrStderr(), name, err)
	return ErrorCode(err)
}

// watchSignals cancels at the first signal and exits at the second, until done.
func watchSignals(signals <-chan os.Signal, done <-chan struct{}, cancel context.CancelCauseFunc, exit func(int)) {
	for count := 1; ; count++ {
		select {
		case s := <-signals:
			stop := &signalError{s}
			if count > 1 {
				exit(stop.code())
				return
			}
			cancel(stop)
		case <-done:
			return
		}
	}
}

type signalError struct{ signal os.Signal }

func (e *signalError) Error() string { return "ended by signal: " + e.signal.String() }

func (e *signalError) code() int {
	if e.signal == syscall.SIGTERM {
		return Terminated
	}
	return Interrupted
}

// extend adds commands that a build with a tag has besides: see man.go.
var extend = func(*cobra.Command) {}

// execute runs root. Errors from before a command begins become usage errors.
func execute(ctx context.Context, root *cobra.Command) error {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = false
	extend(root)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return fromEnvironment(cmd.Flags()) }
	began := false
	prepare(root, &began)
	cmd, err := root.ExecuteContextC(ctx)
	usage := (*UsageError)(nil)
	switch {
	case err != nil && !began:
		usage = &UsageError{Err: err}
		err = usage
	case !errors.As(err, &usage):
		return err
	}
	usage.hint = "see " + cmd.CommandPath() + " --help"
	return err
}

// prepare makes every command below cmd note that it began, and refuse to run
// without a subcommand where it is only a group of them.
func prepare(cmd *cobra.Command, began *bool) {
	for _, sub := range cmd.Commands() {
		prepare(sub, began)
	}
	if !cmd.Runnable() {
		cmd.Args = cobra.NoArgs
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return missingCommand(cmd) }
		return
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			*began = true
			return run(cmd, args)
		}
	}
}

func missingCommand(cmd *cobra.Command) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	if !cmd.HasParent() {
		return fmt.Errorf("want a command: %s", strings.Join(names, ", "))
	}
	return fmt.Errorf("%s: want one of its commands: %s", cmd.Name(), strings.Join(names, ", "))
}
