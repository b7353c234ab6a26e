package faults

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// stopPatience bounds how long a process may take to obey a signal that it cannot catch.
const stopPatience = 10 * time.Second

// Stop suspends a process (SIGSTOP) and returns when none of its threads runs: it keeps its connections and answers
// nothing, until Continue. It is an error when the process is gone.
func Stop(pid int) error { return signal(pid, syscall.SIGSTOP, true) }

// Continue lets a suspended process go on (SIGCONT) and returns when it does. It is an error when the process is gone.
func Continue(pid int) error { return signal(pid, syscall.SIGCONT, false) }

func signal(pid int, sig syscall.Signal, stops bool) error {
	if err := syscall.Kill(pid, sig); err != nil {
		return fmt.Errorf("send %s to process %d: %w", sig, pid, err)
	}
	for deadline := time.Now().Add(stopPatience); ; time.Sleep(time.Millisecond) {
		stopped, running, err := threads(pid)
		switch {
		case err != nil:
			return fmt.Errorf("look at process %d after %s: %w", pid, sig, err)
		case stops && running == 0, !stops && stopped == 0:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("process %d has %d suspended and %d running threads, %s after %s", pid, stopped, running, stopPatience, sig)
		}
	}
}

// threads counts the threads of a process that are suspended, and those that are not.
func threads(pid int) (stopped, running int, err error) {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // a thread that has ended
		}
		if err != nil {
			return 0, 0, err
		}
		// The state follows the command in parentheses, which may hold any character.
		rest := stat[bytes.LastIndexByte(stat, ')')+1:]
		switch state := bytes.TrimLeft(rest, " ")[0]; state {
		case 'T', 't':
			stopped++
		case 'Z', 'X':
		default:
			running++
		}
	}
	if stopped+running == 0 {
		return 0, 0, os.ErrProcessDone
	}
	return stopped, running, nil
}
