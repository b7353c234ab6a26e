//go:build integration

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// executable is the program under test, as its users run it.
var executable string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "binkeeper-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	executable = filepath.Join(dir, programName)
	if out, err := exec.Command("go", "build", "-o", executable, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build %s: %v\n%s", programName, err, out)
		return 1
	}
	return m.Run()
}

// An operator runs the program, with an environment of its own.
type operator struct {
	t   *testing.T
	env []string
}

func newOperator(t *testing.T, env ...string) *operator {
	return &operator{t, append([]string{"PATH=" + os.Getenv("PATH")}, env...)}
}

// run runs the program and wants an exit code. Neither stream may show the
// password.
func (o *operator) run(want int, args ...string) (stdout, stderr string) {
	o.t.Helper()
	cmd := exec.CommandContext(o.t.Context(), executable, args...)
	cmd.Env = o.env
	stdout, stderr, code := output(o.t, cmd)
	if code != want {
		o.t.Fatalf("binkeeper %s: exit code %d, want %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), code, want, stdout, stderr)
	}
	if strings.Contains(stdout+stderr, servers.Password) {
		o.t.Errorf("binkeeper %s shows the password\nstdout: %s\nstderr: %s", strings.Join(args, " "), stdout, stderr)
	}
	if code != cli.OK && !strings.HasPrefix(lastErrorLine(stderr), "binkeeper: ") {
		o.t.Errorf("binkeeper %s: stderr has no error line: %q", strings.Join(args, " "), stderr)
	}
	return stdout, stderr
}

// lastErrorLine is the last line that is no hint.
func lastErrorLine(stderr string) string {
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	if n := len(lines) - 1; n > 0 && strings.HasPrefix(lines[n], "hint: ") {
		return lines[n-1]
	}
	return lines[len(lines)-1]
}

func output(t *testing.T, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// json runs the program with -o json and reads what it prints into v.
func (o *operator) json(v any, args ...string) {
	o.t.Helper()
	stdout, _ := o.run(cli.OK, append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(stdout), v); err != nil {
		o.t.Fatalf("binkeeper %s: %v: %s", strings.Join(args, " "), err, stdout)
	}
}

// show is task show.
func (o *operator) show(id string) (detail taskDetail) {
	o.t.Helper()
	o.json(&detail, "task", "show", id)
	return detail
}

// start runs the program in the background; the function that it returns waits for
// its exit code.
func (o *operator) start(args ...string) (process *os.Process, wait func() int) {
	o.t.Helper()
	cmd := exec.CommandContext(o.t.Context(), executable, args...)
	var errs bytes.Buffer
	cmd.Env, cmd.Stderr = o.env, &errs
	if err := cmd.Start(); err != nil {
		o.t.Fatal(err)
	}
	return cmd.Process, func() int {
		_ = cmd.Wait() // the code is what counts
		o.t.Logf("binkeeper %s: %s", strings.Join(args, " "), &errs)
		return cmd.ProcessState.ExitCode()
	}
}

// openSession gives a session in the root of a test.
func openSession(t *testing.T, zookeeper string) *coord.Session {
	t.Helper()
	list, root, err := zkpaths.ParseConnect(zookeeper)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := coord.Open(ctx, coord.Config{Servers: list, Root: root, Logger: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// within polls until reached, as an operator would look again.
func within(t *testing.T, limit time.Duration, what string, reached func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !reached(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
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
