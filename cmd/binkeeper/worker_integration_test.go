//go:build faults

//faults:commands

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"binkeeper/internal/cli"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/zkpaths"
)

// startWorker runs a real worker until the test ends.
func startWorker(t *testing.T, executable, zookeeper, id string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(executable, "--server-id", id, "--zookeeper", zookeeper, "--listen", "127.0.0.1:0")
	cmd.Env = []string{"BINKEEPER_SECRET_SOURCE=" + servers.Password}
	cmd.Stderr, cmd.SysProcAttr = &log, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended; Wait tells
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Errorf("worker %s: %v\n%s", id, err, &log)
		}
		if bytes.Contains(log.Bytes(), []byte(servers.Password)) {
			t.Errorf("the log of worker %s shows the password", id)
		}
	})
}

// TestWithWorkers is an operator's whole day, with real workers.
func TestWithWorkers(t *testing.T) {
	worker := filepath.Join(t.TempDir(), "worker")
	if out, err := exec.Command("go", "build", "-o", worker, "../worker").CombinedOutput(); err != nil {
		t.Fatalf("build worker: %v\n%s", err, out)
	}
	zookeeper := servertest.StartZooKeeper(t, 1).Addr()
	src := servertest.StartSource(t, servers.MySQL)
	store := t.TempDir()
	o := newOperator(t, "BINKEEPER_ZOOKEEPER="+zookeeper, "BINKEEPER_SECRET_SOURCE="+servers.Password)
	o.run(cli.OK, "task", "create", "orders", "--source", sourceURL("binkeeper", src.Addr()), "--password-ref", "env:BINKEEPER_SECRET_SOURCE",
		"--archive", "file://"+store, "--flush-interval", "100ms", "--checkpoint-interval", "100ms")
	startWorker(t, worker, zookeeper, "1")
	within(t, 20*time.Second, "running", func() bool { return o.show("orders").State == zkpaths.StateRunning })
	startWorker(t, worker, zookeeper, "2")
	within(t, 20*time.Second, "a standby", func() bool { return fmt.Sprint(o.show("orders").Standbys) == "[2]" })

	err := src.Exec(t.Context(), "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)", "INSERT INTO d.t VALUES (1), (2)", "FLUSH BINARY LOGS")
	if err != nil {
		t.Fatal(err)
	}
	o.run(cli.OK, "task", "pause", "orders", "--wait")
	if got := o.show("orders"); got.Primary != "1" || len(got.Instances) != 2 {
		t.Errorf("paused: %+v", got)
	}
	o.run(cli.OK, "task", "resume", "orders", "--wait")
	o.run(cli.OK, "task", "switchover", "orders", "--to", "2", "--timeout", "20s")
	if got := o.show("orders").Primary; got != "2" {
		t.Errorf("after the switch-over the primary is %q", got)
	}

	closed, err := src.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	var list filesOutput
	complete := func() bool {
		o.json(&list, "archive", "list", "orders")
		return len(list.Files) == len(closed)
	}
	within(t, 20*time.Second, "archived all files", complete)
	o.run(cli.OK, "archive", "verify", "orders")
	out := filepath.Join(t.TempDir(), "export")
	o.run(cli.OK, "archive", "export", "orders", "--output", out)
	for _, path := range closed[:len(closed)-1] {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(out, filepath.Base(path))); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; the source has %d", filepath.Base(path), len(got), err, len(want))
		}
	}
	o.run(cli.OK, "task", "remove", "orders", "--wait")
	o.run(cli.NotFound, "task", "show", "orders")
	o.run(cli.OK, "archive", "verify", "orders", "--archive", store)
}
