package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// A sample is one run of a contender.
type sample struct {
	took time.Duration // from the process's start to the end of its work
	cpu  time.Duration // user and system
	peak int64         // bytes of memory at most
}

// samples are the runs of one contender.
type samples []sample

func (s samples) took() time.Duration {
	return median(s, func(x sample) time.Duration { return x.took })
}
func (s samples) cpu() time.Duration { return median(s, func(x sample) time.Duration { return x.cpu }) }
func (s samples) peak() (most int64) {
	for _, x := range s {
		most = max(most, x.peak)
	}
	return most
}

func median[T any, V interface{ ~int64 }](list []T, of func(T) V) V {
	values := make([]V, len(list))
	for i, x := range list {
		values[i] = of(x)
	}
	slices.Sort(values)
	return (values[len(values)/2] + values[(len(values)-1)/2]) / 2
}

// A contender does its work once.
type contender func(ctx context.Context) (sample, error)

// alternate runs the contenders in turns. Before each run, the disk comes to rest: none pays for what another one
// left unwritten.
func alternate(ctx context.Context, runs int, contenders ...contender) ([]samples, error) {
	all := make([]samples, len(contenders))
	for n := range runs {
		for i, c := range contenders {
			syncDisk()
			s, err := c(ctx)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], s)
			say("  run %d, contender %d: %s, %s CPU, peak %d MiB", n+1, i+1, s.took.Round(time.Millisecond), s.cpu.Round(time.Millisecond), s.peak>>20)
		}
	}
	return all, nil
}

// process is a contender that is one command. The folder out is made for it, and removed before the next run, unless
// it is "".
func process(command func(context.Context) (*exec.Cmd, error), out string) contender {
	return func(ctx context.Context) (sample, error) {
		cmd, err := command(ctx)
		if err != nil {
			return sample{}, err
		}
		if out != "" {
			if err := os.RemoveAll(out); err != nil {
				return sample{}, err
			}
			if err := os.MkdirAll(out, 0o755); err != nil {
				return sample{}, err
			}
			syncDisk()
		}
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &said, &said
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return sample{}, fmt.Errorf("%s: %w: %s", cmd.Path, err, bytes.TrimSpace(said.Bytes()))
		}
		took := time.Since(began)
		usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		return sample{took: took, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peak: usage.Maxrss << 10}, nil
	}
}
