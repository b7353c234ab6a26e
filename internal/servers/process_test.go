package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// holdEnv makes this test's program start one process, print its pid and wait to be killed: "attached" or
// "detached".
const holdEnv = "BINKEEPER_TEST_HOLD"

func TestMain(m *testing.M) {
	if how := os.Getenv(holdEnv); how != "" {
		hold(how)
	}
	goleak.VerifyTestMain(m)
}

func hold(how string) {
	dir, err := os.MkdirTemp("", "binkeeper-hold-")
	if err != nil {
		panic(err)
	}
	p := shellProcess(dir, "exec sleep 1000")
	p.detach = how == "detached"
	err = p.Start(context.Background())
	os.RemoveAll(dir)
	if err != nil {
		panic(err)
	}
	fmt.Println(p.Pid())
	select {}
}

// shellProcess returns a process that runs script and is ready at once.
func shellProcess(dir, script string) *process {
	return &process{
		name:    "script",
		command: func() *exec.Cmd { return exec.Command("sh", "-c", script) },
		ready:   func(context.Context) error { return nil },
		log:     filepath.Join(dir, "server.log"),
		pidFile: filepath.Join(dir, "pid"),
	}
}

func TestProcessDiesWithItsParent(t *testing.T) {
	tests := []struct {
		how  string
		want bool // whether it lives on
	}{
		{how: "attached", want: false},
		{how: "detached", want: true},
	}
	for _, test := range tests {
		t.Run(test.how, func(t *testing.T) {
			parent := exec.Command(os.Args[0])
			parent.Env = append(os.Environ(), holdEnv+"="+test.how)
			stdout, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			var pid int
			if _, err := fmt.Sscan(line, &pid); err != nil || !alive(pid) {
				t.Fatalf("process %q is not running: %v", line, err)
			}
			parent.Process.Kill()
			parent.Wait()
			if test.want {
				if !alive(pid) {
					t.Error("the detached process ended with its parent")
				}
				syscall.Kill(pid, syscall.SIGKILL)
			}
			await(t, func() bool { return !alive(pid) })
		})
	}
}

// alive reports whether pid runs: a process that nobody has waited for yet (Z) does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			t.Fatal("waited 10s in vain")
		}
	}
}

func TestStartFails(t *testing.T) {
	never := func(context.Context) error { return errors.New("no answer") }
	tests := []struct {
		name   string
		script string
		want   string
	}{
		{name: "ends", script: "echo port is taken; exit 1", want: "port is taken"},
		{name: "does not answer", script: "exec sleep 1000", want: "no answer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := shellProcess(t.TempDir(), test.script)
			p.ready = never
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := p.Start(ctx); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
			if p.Running() {
				t.Error("it runs after its start failed")
			}
		})
	}
}

func TestKillEndsAStart(t *testing.T) {
	p := shellProcess(t.TempDir(), "exec sleep 1000")
	asked := make(chan struct{}, 1000)
	p.ready = func(context.Context) error {
		asked <- struct{}{}
		return errors.New("no answer")
	}
	started := make(chan error)
	go func() { started <- p.Start(t.Context()) }()
	<-asked
	p.Kill()
	if err := <-started; err == nil {
		t.Error("a start that was killed succeeded")
	}
}

func TestProcessLifecycle(t *testing.T) {
	dir := t.TempDir()
	p := shellProcess(dir, "echo started; trap 'echo stopped; exit' TERM; while :; do sleep 0.01; done")
	log := func() string {
		content, err := os.ReadFile(p.Log())
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	p.ready = func(context.Context) error {
		if strings.HasSuffix(log(), "started\n") {
			return nil
		}
		return errors.New("not started")
	}
	if err := p.Stop(); err != nil {
		t.Errorf("stop before the first start: %v", err)
	}
	if err := p.Pause(); err == nil {
		t.Error("a process that never ran was paused")
	}
	for range 2 {
		if err := p.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Start(t.Context()); err == nil {
			t.Error("a running process was started")
		}
		if err := p.Pause(); err != nil {
			t.Error(err)
		}
		if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Pid())); !strings.Contains(string(state), ") T ") {
			t.Errorf("state after Pause %q, %v, want T", state, err)
		}
		if err := p.Stop(); err != nil {
			t.Errorf("stop while paused: %v", err)
		}
		if p.Running() {
			t.Error("it runs after Stop")
		}
		p.Kill()
	}
	if got, want := log(), "started\nstopped\nstarted\nstopped\n"; got != want {
		t.Errorf("log %q, want %q", got, want)
	}
}
