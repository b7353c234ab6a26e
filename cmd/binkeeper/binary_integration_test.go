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
