package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockEnv names the file by which a program that BuildWithClock has built is told the step of its wall clock.
const clockEnv = "FAULTS_CLOCK"

// clockPatience bounds how long a process may take to step its clock, and how exact the step has to be.
const clockPatience = 10 * time.Second

// What BuildWithClock adds to the program's package main. Go's runtime reads the clocks through a function of the
// kernel's, whose address it keeps in a variable: between the two stands steppedClock.
const (
	stepGo = `package main

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	_ "unsafe" // for the linkname
)

//go:linkname readClock runtime.vdsoClockgettimeSym
var readClock uintptr

var (
	kernelsClock  uintptr
	wallClockStep int64 // in seconds
)

func steppedClockAddress() uintptr

// At each SIGUSR2 the wall clock steps as the file says, and another file says what it shows then.
func init() {
	if readClock == 0 {
		panic("this Go does not read the clock where it is expected to")
	}
	kernelsClock = readClock
	readClock = steppedClockAddress()
	steps := make(chan os.Signal, 1)
	signal.Notify(steps, syscall.SIGUSR2)
	go func() {
		for range steps {
			name := os.Getenv("` + clockEnv + `")
			text, err := os.ReadFile(name)
			if err != nil {
				panic(err)
			}
			if wallClockStep, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err != nil {
				panic(err)
			}
			if err := os.WriteFile(name+".new", []byte(fmt.Sprintln(time.Now().Unix())), 0o600); err != nil {
				panic(err)
			}
			if err := os.Rename(name+".new", name+".taken"); err != nil {
				panic(err)
			}
		}
	}()
}
`
	// A function of C's convention: DI is the clock, 0 the wall's; SI is where its seconds and nanoseconds go.
	stepAssembly = `#include "textflag.h"

TEXT steppedClock<>(SB),NOSPLIT|NOFRAME,$0
	SUBQ	$24, SP
	MOVQ	DI, 0(SP)
	MOVQ	SI, 8(SP)
	MOVQ	·kernelsClock(SB), AX
	CALL	AX
	MOVQ	0(SP), DI
	MOVQ	8(SP), SI
	ADDQ	$24, SP
	TESTQ	DI, DI
	JNE	done
	MOVQ	·wallClockStep(SB), CX
	ADDQ	CX, 0(SI)
done:
	RET

TEXT ·steppedClockAddress(SB),NOSPLIT,$0-8
	LEAQ	steppedClock<>(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
`
)

// BuildWithClock builds the program in the folder pkg of this module as out, by "go build" with further args, with a
// wall clock of its own that a Clock can put forward and back. As on a machine whose clock is set, monotonic time and
// timers are as ever. The program panics, or Clock.Step fails, when Go's runtime reads its clock in another way than
// this fault was made for. Only for amd64.
func BuildWithClock(ctx context.Context, pkg, out string, args ...string) error {
	dir, err := os.MkdirTemp("", "clock-")
	if err != nil {
		return fmt.Errorf("build %s with a clock: %w", pkg, err)
	}
	defer os.RemoveAll(dir)
	overlay, err := clockOverlay(dir, pkg)
	if err != nil {
		return fmt.Errorf("build %s with a clock: %w", pkg, err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-overlay", overlay, "-ldflags=-checklinkname=0", "-o", out)
	build.Args = append(append(build.Args, args...), ".")
	build.Dir = pkg
	if said, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s with a clock: %w\n%s", pkg, err, said)
	}
	return nil
}

// clockOverlay writes into dir what the go command is to see in pkg beside what there is.
func clockOverlay(dir, pkg string) (name string, err error) {
	pkg, err = filepath.Abs(pkg)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	for file, content := range map[string]string{"wallclock_step.go": stepGo, "wallclock_step_amd64.s": stepAssembly} {
		replace[filepath.Join(pkg, file)] = filepath.Join(dir, file)
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name = filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, overlay, 0o600)
}

// A Clock is the wall clock of one process that BuildWithClock has built.
type Clock struct{ file string }

// NewClock returns the clock of the process that is started with its Env. The file need not be there, nor any whose name
// begins like it.
func NewClock(file string) Clock { return Clock{file} }

// Env is what the process's environment has to hold.
func (c Clock) Env() string { return clockEnv + "=" + c.file }

// Step puts the wall clock of process pid off by d from the true time, in whole seconds, and returns when it shows that.
// The process has to have come as far as its main function.
func (c Clock) Step(pid int, d time.Duration) error {
	if err := c.step(pid, d); err != nil {
		return fmt.Errorf("step the clock of process %d by %s: %w", pid, d, err)
	}
	return nil
}

func (c Clock) step(pid int, d time.Duration) error {
	if err := os.WriteFile(c.file, []byte(strconv.FormatInt(int64(d/time.Second), 10)), 0o600); err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGUSR2); err != nil {
		return err
	}
	for deadline := time.Now().Add(clockPatience); ; time.Sleep(time.Millisecond) {
		shows, err := os.ReadFile(c.file + ".taken")
		if err == nil {
			return errors.Join(verifyStep(string(shows), d), os.Remove(c.file+".taken"))
		}
		if !errors.Is(err, os.ErrNotExist) || time.Now().After(deadline) {
			return err
		}
	}
}

func verifyStep(shows string, d time.Duration) error {
	seconds, err := strconv.ParseInt(strings.TrimSpace(shows), 10, 64)
	if err != nil {
		return err
	}
	if off := time.Until(time.Unix(seconds, 0)) - d; off.Abs() > clockPatience {
		return fmt.Errorf("it is off from that by %s", off)
	}
	return nil
}
