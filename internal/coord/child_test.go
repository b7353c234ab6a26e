//go:build faults

//faults:zookeeper

package coord

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
