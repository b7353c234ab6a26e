//go:build integration

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"binkeeper/internal/cli"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/zkpaths"
)

// passwordFile holds the password of the sources' account.
func passwordFile(t *testing.T, password string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func sourceURL(user, addr string) string { return "mysql://" + user + "@" + addr }

// TestTasks goes through the life of a task that no worker serves.
func TestTasks(t *testing.T) {
	zookeeper := servertest.StartZooKeeper(t, 1).Addr() + "/tasks-test"
	store := t.TempDir()
	o := newOperator(t, "BINKEEPER_ZOOKEEPER="+zookeeper, "BINKEEPER_ARCHIVE="+store, "X="+servers.Password)
	create := func(id string) []string {
		return []string{"task", "create", id, "--source", sourceURL("binkeeper", "127.0.0.1:3306"), "--password-ref", "env:X", "--skip-checks"}
	}

	var list listOutput
	o.json(&list, "task", "list")
	if list.Tasks == nil || len(list.Tasks) != 0 {
		t.Errorf("without tasks: %+v", list)
	}
	o.run(cli.OK, create("orders")...)
	o.run(cli.OK, append(create("users"), "--start", "current", "--segment-size", "64KiB", "--flush-interval", "100ms")...)
	o.run(cli.Conflict, create("orders")...)
	before := o.show("orders")
	if stdout, _ := o.run(cli.OK, append(create("orders"), "--if-not-exists", "--start", "current")...); !strings.Contains(stdout, "exists already") {
		t.Errorf("--if-not-exists: %q", stdout)
	}
	after := o.show("orders")
	if after.Spec == nil || after.Spec.Start != zkpaths.StartEarliest || after.Spec.TaskUID != before.Spec.TaskUID || after.State != zkpaths.StateStopped || after.Desired != zkpaths.Running {
		t.Errorf("orders: %+v %+v", after, after.Spec)
	}
	if entries, err := os.ReadDir(store); err != nil || len(entries) != 0 {
		t.Errorf("--skip-checks wrote to the store: %v, %v", entries, err)
	}
	o.json(&list, "task", "list")
	if len(list.Tasks) != 2 || list.Tasks[0].ID != "orders" || list.Tasks[1].ID != "users" {
		t.Errorf("task list: %+v", list)
	}

	for _, verb := range []string{"show", "pause", "resume", "history", "switchover", "remove"} {
		o.run(cli.NotFound, "task", verb, "nobody")
	}
	o.run(cli.NotFound, "task", "set", "nobody", "--flush-interval", "2s")
	for _, verb := range []string{"list", "verify"} { // the store of the spec, in which there is nothing
		newOperator(t, "BINKEEPER_ZOOKEEPER="+zookeeper).run(cli.NotFound, "archive", verb, "orders")
	}

	o.run(cli.OK, "task", "set", "orders", "--flush-interval", "2s", "--source", sourceURL("other", "[::1]:3307"))
	if spec := o.show("orders").Spec; spec.FlushInterval.String() != "2s" || spec.Source != sourceURL("other", "[::1]:3307") || spec.PasswordRef != "env:X" {
		t.Errorf("task set: %+v", spec)
	}
	o.run(cli.OK, "task", "pause", "orders")
	if got := o.show("orders").Desired; got != zkpaths.Paused {
		t.Errorf("paused: desired %q", got)
	}
	_, stderr := o.run(cli.TimedOut, "task", "pause", "orders", "--wait", "--timeout", "3s")
	if !strings.Contains(stderr, "state stopped, no worker") {
		t.Errorf("the error does not say how the task is: %s", stderr)
	}
	o.run(cli.Conflict, "task", "resume", "orders", "--accept-gap") // it is not blocked
	o.run(cli.OK, "task", "resume", "orders")
	if got := o.show("orders"); got.Desired != zkpaths.Running || got.Spec.ResumedAt.IsZero() {
		t.Errorf("resumed: desired %q, spec %+v", got.Desired, got.Spec)
	}
	o.run(cli.Conflict, "task", "switchover", "orders")
	o.run(cli.NotFound, "task", "switchover", "orders", "--to", "9")

	var history historyOutput
	if o.json(&history, "task", "history", "orders"); history.Transitions == nil {
		t.Error("history: transitions are null")
	}
	var workers workersOutput
	if o.json(&workers, "workers"); len(workers.Workers) != 0 {
		t.Errorf("workers: %+v", workers)
	}
	o.run(cli.OK, "task", "remove", "orders", "--wait")
	o.run(cli.NotFound, "task", "show", "orders")
	o.run(cli.NotFound, "task", "remove", "orders") // it is removed

	// A worker misses one that it has served: its removal stands until a worker takes it away.
	session := openSession(t, zookeeper)
	if err := session.RegisterWorker(t.Context(), zkpaths.Worker{ServerID: "1", Vanished: []string{"lost"}}, nil); err != nil {
		t.Fatal(err)
	}
	if stdout, _ := o.run(cli.Failed, "check"); !strings.Contains(stdout, "Task lost has vanished") {
		t.Errorf("check with a task that has vanished: %q", stdout)
	}
	if stdout, _ := o.run(cli.OK, "task", "remove", "lost"); !strings.Contains(stdout, "had vanished") {
		t.Errorf("task remove of what has vanished: %q", stdout)
	}
	if _, stderr := o.run(cli.NotFound, "task", "remove", "forgotten"); !strings.Contains(stderr, "on record") {
		t.Errorf("task remove of what nobody misses: %q", stderr)
	}
	if _, stderr := o.run(cli.TimedOut, "task", "remove", "lost", "--wait", "--timeout", "3s"); !strings.Contains(stderr, "for a minute") {
		t.Errorf("task remove --wait of what has vanished: %q", stderr)
	}
	listed := <-session.FollowTasks(t.Context())
	if listed.Removed.Has("lost") || !listed.Removed.Has("forgotten") || !slices.Equal(listed.IDs, []string{"lost", "users"}) {
		t.Errorf("after the removals: %+v", listed)
	}
	if got := o.show("lost"); got.Desired != zkpaths.Removed || !got.Spec.Vanished {
		t.Errorf("what had vanished, removed: %+v", got.Spec)
	}
	o.run(cli.Conflict, "task", "pause", "lost")
	o.run(cli.OK, create("lost")...)
	if got := o.show("lost"); got.Desired != zkpaths.Running || got.Spec.Vanished {
		t.Errorf("created where its removal stood: %+v", got.Spec)
	}
}

func TestUsage(t *testing.T) {
	o := newOperator(t)
	create := []string{"task", "create", "orders", "--source", "mysql://u@127.0.0.1", "--password-ref", "env:X", "--archive", "/backup"}
	with := func(args ...string) []string { return append(append([]string{}, create...), args...) }
	tests := [][]string{
		{}, {"nonsense"}, {"task"}, {"task", "nonsense"}, {"archive"},
		{"task", "list", "x"}, {"task", "list", "-o", "yaml"}, {"task", "list", "--nonsense"},
		{"task", "list", "--timeout", "0s"}, {"task", "list", "--zookeeper", "nowhere"},
		{"task", "show"}, {"task", "show", "a/b"}, {"task", "show", "a", "b"}, {"task", "show", ""},
		{"task", "create", "orders"}, with("--source", "mysql://u:"+servers.Password+"@127.0.0.1"), with("--source", "db1"),
		with("--password-ref", servers.Password), with("--archive", "backup"), with("--archive", "s3://k:"+servers.Password+"@bucket"),
		with("--start", "mysql-bin.000001:4"), with("--segment-size", "1B"), with("--segment-size", "many"), with("--flush-interval", "0s"),
		{"task", "set", "orders"}, {"task", "set", "orders", "--flush-interval", "1d"}, {"task", "set", "orders", "--source", "mysql://u:" + servers.Password + "@h"},
		{"task", "resume", "orders", "--accept-gap", "--accept-archive"}, {"task", "switchover", "orders", "--to", "a_b"},
		{"archive", "list", "orders", "--archive", "ftp://h/x"}, {"archive", "export", "orders", "--archive", "/backup"},
		{"archive", "export", "orders", "--archive", "/backup", "--output", "/x", "--timeline", "0"},
	}
	for _, args := range tests {
		if stdout, _ := o.run(cli.BadUsage, args...); stdout != "" {
			t.Errorf("binkeeper %s: a usage error on standard output: %q", strings.Join(args, " "), stdout)
		}
	}
	_, stderr := newOperator(t, "BINKEEPER_TIMEOUT=soon").run(cli.BadUsage, "task", "list")
	if !strings.Contains(stderr, "BINKEEPER_TIMEOUT") {
		t.Errorf("the error does not name the variable: %s", stderr)
	}
}

func TestHelpAndVersion(t *testing.T) {
	o := newOperator(t)
	verbs := []string{"task create", "task set", "task list", "task show", "task pause", "task resume", "task switchover", "task remove",
		"task history", "workers", "archive list", "archive verify", "archive export", "version"}
	for _, verb := range verbs {
		stdout, _ := o.run(cli.OK, append(strings.Fields(verb), "--help")...)
		for _, want := range []string{"Exit codes:", "Examples:", "130, 143"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("binkeeper %s --help has no %q", verb, want)
			}
		}
	}
	if stdout, _ := o.run(cli.OK, "version"); !strings.HasPrefix(stdout, "binkeeper ") {
		t.Errorf("version: %q", stdout)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if stdout, _ := o.run(cli.OK, "completion", shell); !strings.Contains(stdout, programName) {
			t.Errorf("completion %s: %q", shell, stdout)
		}
	}
}

// A port that accepts and says nothing keeps a command waiting.
func TestInterrupted(t *testing.T) {
	listener := silentPort(t)
	for signal, want := range map[os.Signal]int{syscall.SIGINT: cli.Interrupted, syscall.SIGTERM: cli.Terminated} {
		process, wait := newOperator(t).start("task", "list", "--zookeeper", listener.addr, "--timeout", "1m")
		<-listener.accepted
		if err := process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if got := wait(); got != want {
			t.Errorf("%s: exit code %d, want %d", signal, got, want)
		}
	}
}

func TestZooKeeperUnreachable(t *testing.T) {
	port, err := servers.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	closed, silent := fmt.Sprintf("127.0.0.1:%d", port), silentPort(t).addr
	for _, address := range []string{closed, silent} {
		for _, verb := range []string{"task list", "task show orders", "task pause orders", "workers", "archive list orders"} {
			began := time.Now()
			_, stderr := newOperator(t).run(cli.NoZooKeeper, append(strings.Fields(verb), "--zookeeper", address, "--timeout", "500ms")...)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("%s gave up after %s, with --timeout 500ms", verb, took)
			}
			if !strings.Contains(stderr, address) || !strings.Contains(stderr, "\nhint: ") {
				t.Errorf("%s: the error names no address or no next step: %s", verb, stderr)
			}
		}
	}
}
