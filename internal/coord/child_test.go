//go:build integration

package coord

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// The environment of this program when it is to be a primary of its own, which a
// test can suspend.
const (
	childServer = "COORD_TEST_SERVER"
	childRoot   = "COORD_TEST_ROOT"
)

// serveAsChild claims the task orders and commits until it is fenced.
func serveAsChild(server string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s, err := Open(ctx, Config{Servers: []string{server}, Root: os.Getenv(childRoot), Timeout: timeout, Logger: zerolog.Nop()})
	if err != nil {
		fmt.Println("open:", err)
		return 1
	}
	defer s.Close()
	term, err := childTerm(ctx, s)
	if err != nil {
		fmt.Println("claim:", err)
		return 1
	}
	for position := int64(1); ; position++ {
		err := term.Commit(ctx, at(position))
		if position == 10 {
			fmt.Println("committing")
		}
		if err != nil && !errors.Is(err, ErrDisconnected) {
			fmt.Println("fenced:", errors.Is(err, ErrFenced), err)
			return 0
		}
	}
}

func childTerm(ctx context.Context, s *Session) (*Term, error) {
	i, err := s.Join(ctx, "orders", instanceOf("1"))
	if err != nil {
		return nil, err
	}
	return claim(ctx, i)
}

// A primary that is suspended in mid-commit for longer than its session, and
// then goes on, changes nothing any more.
func TestSuspendedPrimaryIsFenced(t *testing.T) {
	checkLeaks(t)
	s := open(t, standalone)
	createTask(t, s, "orders")
	for range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childServer+"="+standalone, childRoot+"="+rootOf(t))
		child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		stdout, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		if !lines.Scan() || lines.Text() != "committing" {
			t.Fatalf("the child says %q", lines.Text())
		}
		suspended(t, s, child)
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), "fenced: true") {
			t.Errorf("the child says %q", lines.Text())
		}
		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	}
}

// suspended takes over from the child while it sleeps, wakes it, and looks on.
func suspended(t *testing.T, s *Session, child *exec.Cmd) {
	t.Helper()
	if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	standby := join(t, s, "orders", "2")
	eventually(t, timeout+2*tick+2*time.Second, "first in line", func() bool {
		return names(look(t, s, "orders").Line) == standby.Place().Name
	})
	term := mustClaim(t, standby)
	if err := term.Commit(t.Context(), at(1000)); err != nil {
		t.Fatal(err)
	}
	before := look(t, s, "orders").LastCommitVersion
	if err := child.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // for the child to do its worst
	if view := look(t, s, "orders"); view.LastCommitVersion != before || view.LastCommit.Instance != standby.Place().Name {
		t.Errorf("lastCommit was moved to version %d: %+v", view.LastCommitVersion, view.LastCommit)
	}
	if err := term.HandOver(t.Context(), look(t, s, "orders").Status); err != nil {
		t.Error(err)
	}
}
