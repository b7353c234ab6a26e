package servers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// pidFileName is the file, in the folder of a server or program, that names its process: its id and, since ids are
// used again, the time of its birth in the kernel's words.
const pidFileName = "pid"

// FindDetached returns the id of the process that was last started in dir, a Dir of SourceOptions or ProgramOptions
// or the folder of one ZooKeeper server, by this program or another. It is 0 when that process has ended.
func FindDetached(dir string) (pid int, err error) {
	pid, fd, err := openDetached(dir)
	if pid != 0 {
		err = unix.Close(fd)
	}
	return pid, err
}

// StopDetached ends in order (SIGTERM) the process that FindDetached finds, and returns when it is gone; stopped is
// false when there was none. One that has not ended after a minute is killed, and that is an error.
func StopDetached(dir string) (stopped bool, err error) {
	pid, fd, err := openDetached(dir)
	if err != nil || pid == 0 {
		return false, err
	}
	defer unix.Close(fd)
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(fd, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return false, fmt.Errorf("stop process %d of %s: %w", pid, dir, err)
		}
		gone, err := awaitEnd(fd, stopTimeout)
		if err != nil {
			return false, fmt.Errorf("wait for process %d of %s: %w", pid, dir, err)
		}
		if gone && signal == unix.SIGTERM {
			return true, nil
		}
	}
	return true, fmt.Errorf("stop process %d of %s: killed, after it went on for %s", pid, dir, stopTimeout)
}

// openDetached opens the process that dir/pid names: a descriptor stays with the process when the id is used again.
// pid is 0 when it has ended.
func openDetached(dir string) (pid, fd int, err error) {
	path := filepath.Join(dir, pidFileName)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	id, born, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if pid, err = strconv.Atoi(id); err != nil || born == "" {
		return 0, 0, fmt.Errorf("read %s: want a process id and its time of birth, not %.40q", path, text)
	}
	fd, err = unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("open process %d: %w", pid, err)
	}
	if birth(pid) != born {
		return 0, 0, unix.Close(fd)
	}
	return pid, fd, nil
}

func writePidFile(path string, pid int) error {
	return os.WriteFile(path, []byte(strconv.Itoa(pid)+" "+birth(pid)+"\n"), 0o644)
}

// birth returns when process pid was started, in clock ticks since the machine's start, or "ended".
func birth(pid int) string {
	const ended = "ended"
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ended
	}
	// proc_pid_stat(5): the second field, the name in parentheses, may hold anything; the third is the state, the
	// 22nd the start time.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ended
	}
	return fields[19]
}

// awaitEnd waits until the process behind the descriptor has ended, and reports whether it did so in time.
func awaitEnd(fd int, timeout time.Duration) (bool, error) {
	deadline := time.Now().Add(timeout)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(max(0, time.Until(deadline)).Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n > 0, err
		}
	}
}
