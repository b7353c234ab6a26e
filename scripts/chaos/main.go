// Command chaos tries to break Binkeeper's promise, on real servers: while clients write to a MySQL and a MariaDB, it
// strikes workers, sources, an ensemble of three ZooKeeper servers, the network between them, a disk and the monitor,
// as a seed says. Then it heals everything, and compares every byte of every archive with its source.
//
// It runs from the module's folder. The schedule of strikes is a function of the seed and the minutes alone, so that
// both repeat it. What it starts it ends; it removes its folder unless something was wrong or the folder was chosen. Exit
// codes: 0 nothing was lost and everything is in order, 1 something is not, 64 usage, 130 interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"binkeeper/internal/servers"
)

func main() { os.Exit(run()) }

// options are what the command line says.
type options struct {
	length   time.Duration
	seed     uint64
	programs string
	data     string // "" for a temporary folder
	mariadb  servers.Kind
}

func run() int {
	minutes := flag.Float64("minutes", 3, "how long faults strike")
	seed := flag.Uint64("seed", 0, "of the schedule of faults; 0 draws one")
	programs := flag.String("programs", "bin", "`folder` of the built programs")
	data := flag.String("data", "", "new or empty `folder` for everything, which is kept; default: a temporary one, kept when something is wrong")
	only := flag.Bool("schedule", false, "print the schedule, and do nothing else")
	flag.Parse()
	if flag.NArg() > 0 || *minutes <= 0 {
		fmt.Fprintf(os.Stderr, "chaos: unexpected arguments %q, or minutes %v below 0\n", flag.Args(), *minutes)
		return 64
	}
	o := options{length: time.Duration(*minutes * float64(time.Minute)).Round(time.Second), seed: *seed, programs: *programs, data: *data}
	if o.seed == 0 {
		o.seed = 1 + rand.Uint64N(1_000_000)
	}
	o.mariadb = mariadbOf(o.seed)
	if *only {
		for _, s := range schedule(o.seed, o.length) {
			fmt.Println(s)
		}
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := perform(ctx, o)
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "chaos: interrupted")
		return 130
	}
	fmt.Fprintln(os.Stderr, "chaos:", err)
	if hint := (interface{ Hint() string })(nil); errors.As(err, &hint) {
		fmt.Fprintln(os.Stderr, "hint:", hint.Hint())
	}
	fmt.Fprintf(os.Stderr, "to run it again: --seed %d --minutes %v\n", o.seed, *minutes)
	return 1
}

// errProblems says that the report holds something that is not in order.
var errProblems = errors.New("not everything is in order: see the problems above")

// perform runs the whole of it in a folder of its own.
func perform(ctx context.Context, o options) (err error) {
	programs, err := filepath.Abs(o.programs)
	if err != nil {
		return err
	}
	dir, err := makeDir(o.data)
	if err != nil {
		return err
	}
	log := newChronicle(os.Stdout)
	log.tell("seed %d, %s of faults, a MySQL and a %s, everything in %s", o.seed, o.length, o.mariadb, dir)
	r := &rig{dir: dir, programs: programs, log: log}
	err = play(ctx, r, o)
	err = errors.Join(err, r.close())
	if err != nil {
		fmt.Fprintf(os.Stderr, "chaos: everything it started is ended; its data and logs are in %s\n", dir)
		return err
	}
	if o.data == "" {
		return os.RemoveAll(dir)
	}
	return nil
}

func makeDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "binkeeper-chaos-")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if len(entries) > 0 {
		return "", fmt.Errorf("%s is not empty", dir)
	}
	return filepath.Abs(dir)
}

// play starts everything, lets the faults strike, heals, and judges what is left.
func play(ctx context.Context, r *rig, o options) error {
	if err := r.start(ctx, o); err != nil {
		return err
	}
	r.log.tell("%d workers serve %d tasks, with a session timeout of %s", len(r.workers), len(r.tasks), sessionTimeout)
	strikes := schedule(o.seed, o.length)
	tally := r.strikeAll(ctx, strikes, o.length)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, kind := range neverStruck(strikes, tally, r.disk != nil) {
		r.log.problem("%s has never struck, and was to so often: the run shows nothing of it", kind)
	}
	results, err := r.finish(ctx)
	report(os.Stdout, o, tally, results, r) // as far as it came
	if err != nil {
		return err
	}
	if r.log.problems() > 0 {
		return errProblems
	}
	return nil
}
