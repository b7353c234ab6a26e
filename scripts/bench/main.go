// Command bench measures, on real servers on loopback, the numbers that Binkeeper holds itself to, and prints them as
// one table on stdout; docs/benchmarks.md says what each means. It runs from the module's folder, with the programs
// built (make bench does both).
//
// What is compared runs alternately, in the same run and on the same data, and the medians are compared: a ratio holds
// on a machine that is busy with other things better than a time does. What it starts it ends, and it removes its
// folder, unless --data names one that is to stay for the next run. Exit codes: 0 measured, 1 something went wrong,
// 64 usage, 130 interrupted. A bound that does not hold is in the table, and no error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"

	"binkeeper/scripts/internal/localstack"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := dispatch(ctx, os.Args[1:])
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp), errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 64
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "bench: interrupted")
		return 130
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	if hint := (interface{ Hint() string })(nil); errors.As(err, &hint) {
		fmt.Fprintln(os.Stderr, "hint:", hint.Hint())
	}
	return 1
}

// errUsage is a command line that makes no sense.
var errUsage = errors.New("usage: see -h")

// dispatch runs the benchmark, or, called by it, one of the readers that Binkeeper is compared with.
func dispatch(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == readerCommand {
		return runReader(ctx, args[1:])
	}
	o := options{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.BoolVar(&o.quick, "quick", false, "less data: the same ratios in less time, less exactly")
	flags.IntVar(&o.runs, "runs", 0, "how often each contender runs; default 5, or 3 with --quick")
	flags.StringVar(&o.programs, "programs", "bin", "`folder` of the built programs")
	flags.StringVar(&o.data, "data", "", "`folder` to make the data in, and to find it again in; default: one that is removed")
	flags.StringVar(&o.json, "json", "", "`file` to write the table to, as JSON")
	only := flags.String("only", "", "`pattern`: measure the matching groups only: "+groupNames())
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil || flags.NArg() > 0 || o.runs < 0 {
		return fmt.Errorf("%w: %v", errUsage, args)
	}
	if o.runs == 0 {
		if o.runs = 5; o.quick {
			o.runs = 3
		}
	}
	if o.programs, err = filepath.Abs(o.programs); err != nil {
		return err
	}
	return measure(ctx, o)
}

// options are what the command line says.
type options struct {
	quick          bool
	runs           int
	programs, data string
	json           string
	only           *regexp.Regexp
}

// measure prepares the stage, measures and clears it.
func measure(ctx context.Context, o options) (err error) {
	s := &scene{options: o}
	s.stack = localstack.Stack{Programs: o.programs, Kind: "mysql", Dir: o.data}
	if o.data == "" {
		if s.stack.Dir, err = os.MkdirTemp("", "binkeeper-bench-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(s.stack.Dir)) }()
	} else if s.stack.Dir, err = filepath.Abs(o.data); err != nil {
		return err
	}
	defer s.clear()
	if err := s.set(ctx); err != nil {
		return err
	}
	for _, g := range groups {
		if !o.only.MatchString(g.name) {
			continue
		}
		if err := g.measure(s, ctx); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	return s.report.publish(ctx, s)
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
