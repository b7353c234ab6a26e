//go:build faults

//faults:tools

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"binkeeper/internal/servers"
	"binkeeper/scripts/internal/localstack"
)

func TestUpAndDown(t *testing.T) {
	t.Chdir("../..")
	dir, programs := filepath.Join(t.TempDir(), "stack"), t.TempDir()
	if output, err := exec.Command("go", "build", "-buildvcs=false", "-o", programs, "./cmd/...").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	stack := func(verb string, args ...string) {
		t.Helper()
		began := time.Now()
		if err := run(t.Context(), append([]string{verb, "--dir", dir}, args...)); err != nil {
			t.Fatalf("%s: %v", verb, err)
		}
		t.Logf("%s %s", verb, time.Since(began).Round(time.Millisecond))
	}
	up := func() { t.Helper(); stack("up", "--programs", programs, "--source", string(servers.MariaDB1011)) }
	t.Cleanup(func() { // whatever has gone wrong
		for _, p := range parts(&localstack.Stack{Dir: dir}) {
			servers.StopDetached(p.dir)
		}
	})

	up()
	first := pids(t, dir)
	up()
	if got := pids(t, dir); got != first {
		t.Errorf("after a second up the processes are %v, want %v", got, first)
	}
	const worker = 3 // in parts
	syscall.Kill(first[worker], syscall.SIGKILL)
	up()
	second := pids(t, dir)
	if second[worker] == first[worker] {
		t.Error("a worker that was killed is not another process after up")
	}
	if second[worker] = first[worker]; second != first {
		t.Errorf("after one worker's end up replaced others too: %v, want %v", second, first)
	}
	stack("down")
	if got := pids(t, dir); got != [4]int{} {
		t.Errorf("after down the processes are %v, want none", got)
	}
	up() // on the same ports and data
	stack("down", "--purge")
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("after down --purge the folder is there (%v)", err)
	}
	stack("down")
}

// pids are the running processes of the stack's parts, 0 for one that does not run.
func pids(t *testing.T, dir string) (found [4]int) {
	t.Helper()
	for i, p := range parts(&localstack.Stack{Dir: dir}) {
		pid, err := servers.FindDetached(p.dir)
		if err != nil {
			t.Fatal(err)
		}
		found[i] = pid
	}
	return found
}
