//go:build faults

//faults:worker

package main

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/internal/servers"
)

// TestBadFlags runs the worker with flags by which it cannot work.
func TestBadFlags(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	tests := []struct {
		args []string
		env  string
		code int
		says string
	}{
		{nil, "", 64, "--server-id"},
		{[]string{"--server-id", "a_b"}, "", 64, `server id "a_b"`},
		{[]string{"--server-id", strings.Repeat("x", 65)}, "", 64, "--server-id"},
		{[]string{"--server-id", "1", "--zookeeper", "nowhere"}, "", 64, "nowhere"},
		{[]string{"--server-id", "1", "--zookeeper", "h:2181/a//b"}, "", 64, "/a//b"},
		{[]string{"--server-id", "1", "--session-timeout", "soon"}, "", 64, "--session-timeout"},
		{[]string{"--server-id", "1", "--session-timeout", "-1s"}, "", 64, "--session-timeout"},
		{[]string{"--server-id", "1", "--tasks", "[a"}, "", 64, "--tasks"},
		{[]string{"--server-id", "1", "--secrets-dir", "secrets"}, "", 64, "--secrets-dir"},
		{[]string{"--server-id", "1"}, "BINKEEPER_SECRETS_DIR=/etc/binkeeper,secrets", 64, "--secrets-dir"},
		{[]string{"--server-id", "1", "--log-format", "xml"}, "", 64, "--log-format"},
		{[]string{"--server-id", "1", "--log-level", "loud"}, "", 64, "--log-level"},
		{[]string{"--server-id", "1", "--listen", "nonsense"}, "", 64, "--listen"},
		{[]string{"--server-id", "1", "--listen", taken.Addr().String()}, "", 1, "the port is taken"},
		{[]string{"--server-id", "1", "more"}, "", 64, "more"},
		{[]string{"--server-id", "1"}, "BINKEEPER_SESSION_TIMEOUT=soon", 64, "BINKEEPER_SESSION_TIMEOUT"},
	}
	for _, tt := range tests {
		cmd := exec.CommandContext(t.Context(), plainProgram(), tt.args...)
		cmd.Env = append(os.Environ(), tt.env)
		out, _ := cmd.CombinedOutput() // the code is what counts
		lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
		if code := cmd.ProcessState.ExitCode(); code != tt.code || !strings.HasPrefix(lines[0], "worker: ") || !strings.Contains(lines[0], tt.says) {
			t.Errorf("worker %q: exit code %d, want %d and %q in: %s", tt.args, code, tt.code, tt.says, out)
		}
		if len(lines) != 2 || !strings.HasPrefix(lines[1], "hint: ") {
			t.Errorf("worker %q: want one line and a hint: %s", tt.args, out)
		}
	}
}

// TestServerIDHeldByNobodyKnown wants a worker to name who has its server id, and to end with 5.
func TestServerIDHeldByNobodyKnown(t *testing.T) {
	t.Parallel()
	root := "/" + t.Name()
	hand, _, err := zk.Connect([]string{ensemble.Addr()}, lasting, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hand.Close)
	for _, path := range []string{root, root + "/workers", root + "/workers/server_stray"} {
		if _, err := hand.Create(path, []byte("x"), 0, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
	}
	for path, data := range map[string]string{"/workers/server_garbage": "\x00", "/workers/server_held": `{"format":1,"host":"db7","pid":4711}`} {
		if _, err := hand.Create(root+path, []byte(data), zk.FlagEphemeral, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct{ says, hint string }{
		"held":    {"process 4711 on db7", "stop that worker"},
		"garbage": {"does not say who it is", "stop that worker"},
		"stray":   {"/workers/server_stray", "delete that znode"},
	}
	for id, tt := range tests {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			p, err := servers.StartProgram(t.Context(), servers.ProgramOptions{Name: id, Dir: t.TempDir(),
				Command: []string{plainProgram(), "--server-id", id, "--zookeeper", ensemble.Addr() + root, "--session-timeout", "1s", "--listen", ""}})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			for deadline := time.Now().Add(patience); p.Running() && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			}
			if log := string(read(t, p.Log())); p.ExitCode() != 5 || !strings.Contains(log, tt.says) || !strings.Contains(log, "\nhint: "+tt.hint) {
				t.Errorf("exit code %d, want 5, %q and %q: %s", p.ExitCode(), tt.says, tt.hint, log)
			}
		})
	}
}
