//go:build faults

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/rs/zerolog"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/zkpaths"
)

const (
	// keeper is the account of the tasks, with a password that looks different in a URL and in base64.
	keeper         = "keeper"
	keeperPassword = "hush/50%+ß&=?"
)

// A ward is one worker and the many tasks that it serves, of which each has something else wrong.
type ward struct {
	t      *testing.T
	root   string
	dir    string
	src    *servers.Source
	sess   *coord.Session
	hand   *zk.Conn
	worker *servers.Program
	tasks  int
}

// newWard starts a source; the worker comes with start.
func newWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{t: t, root: "/" + t.Name(), dir: t.TempDir(), src: servertest.StartSource(t, servers.MySQL)}
	w.exec("CREATE USER "+keeper+" IDENTIFIED BY '"+keeperPassword+"'", "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO "+keeper,
		"CREATE DATABASE d", "CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, text VARCHAR(2000))")
	var err error
	if w.sess, err = coord.Open(t.Context(), coord.Config{Servers: []string{ensemble.Addr()}, Root: w.root, Timeout: lasting, Logger: zerolog.Nop()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.sess.Close)
	if w.hand, _, err = zk.Connect([]string{ensemble.Addr()}, lasting, zk.WithLogInfo(false)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.hand.Close)
	w.write("password", keeperPassword+"\n")
	return w
}

// exec runs statements at the source as root.
func (w *ward) exec(statements ...string) {
	w.t.Helper()
	if err := w.src.Exec(w.t.Context(), statements...); err != nil {
		w.t.Fatal(err)
	}
}

// path is a file or folder of the ward's own.
func (w *ward) path(name string) string { return filepath.Join(w.dir, name) }

// write writes a file that nobody else may read.
func (w *ward) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *ward) mkdir(name string) {
	w.t.Helper()
	if err := os.Mkdir(w.path(name), 0o700); err != nil {
		w.t.Fatal(err)
	}
}

// user is the source's URL with another account. Its certificate is verified, so that nothing has to be warned of.
func (w *ward) user(name string) string {
	return "mysql://" + name + "@" + w.src.Addr() + "?ssl-ca=" + w.src.CA()
}

// spec is one by which a worker can archive, in a folder of the task's own.
func (w *ward) spec(id string) zkpaths.Spec {
	w.tasks++
	return zkpaths.Spec{
		Source: w.user(keeper), PasswordRef: "file:" + w.path("password"), Archive: "file://" + w.path("archive-"+id), Start: "earliest", SegmentSize: 64 << 10,
		FlushInterval: zkpaths.Duration(50 * time.Millisecond), CheckpointInterval: zkpaths.Duration(50 * time.Millisecond),
		Desired: zkpaths.Running, TaskUID: "uid-" + id, ReplicaUUID: fmt.Sprintf("44444444-4444-4444-4444-%012d", w.tasks),
		ReplicaServerID: uint32(5000 + w.tasks), CreatedAt: zkpaths.At(time.Now()),
	}
}

// create creates a task with a good spec and its archive's folder, and then makes of the spec what edit says.
func (w *ward) create(id string, edit func(*zkpaths.Spec)) {
	w.t.Helper()
	spec := w.spec(id)
	w.mkdir("archive-" + id)
	if err := w.sess.CreateTask(w.t.Context(), id, spec); err != nil {
		w.t.Fatal(err)
	}
	if edit != nil {
		edit(&spec)
		w.set(zkpaths.Task(id), w.encode(&spec))
	}
}

func (w *ward) encode(p zkpaths.Payload) []byte {
	w.t.Helper()
	data, err := zkpaths.Encode("", p)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

func (w *ward) set(path string, data []byte) {
	w.t.Helper()
	if _, err := w.hand.Set(w.root+path, data, -1); err != nil {
		w.t.Fatalf("write %s by hand: %v", path, err)
	}
}

func (w *ward) get(path string) []byte {
	w.t.Helper()
	data, _, err := w.hand.Get(w.root + path)
	if err != nil {
		w.t.Fatalf("read %s by hand: %v", path, err)
	}
	return data
}

// make makes a znode by hand.
func (w *ward) make(path string, flags int32, data string) {
	w.t.Helper()
	if _, err := w.hand.Create(w.root+path, []byte(data), flags, zk.WorldACL(zk.PermAll)); err != nil {
		w.t.Fatalf("make %s by hand: %v", path, err)
	}
}

// start starts the worker, with a mount namespace of its own in which setup, a shell script, has run.
func (w *ward) start(setup string) {
	w.t.Helper()
	w.worker = w.spawn("worker-1", "unshare", "--mount", "--map-root-user", "sh", "-euc", setup+"\nexec \"$@\"", "sh",
		program, "--server-id", "1", "--zookeeper", ensemble.Addr()+w.root, "--session-timeout", "10s", "--listen", "127.0.0.1:0", "--secrets-dir", w.dir)
}

func (w *ward) spawn(name string, command ...string) *servers.Program {
	w.t.Helper()
	p, err := servers.StartProgram(w.t.Context(), servers.ProgramOptions{Name: name, Dir: w.path(name), Command: command})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(p.Close)
	return p
}

func (w *ward) look(id string) view {
	w.t.Helper()
	v, err := w.sess.Look(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

// await waits until the task looks as wanted.
func (w *ward) await(id, what string, wanted func(view) bool) view {
	w.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		v := w.look(id)
		if wanted(v) {
			return v
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("task %s: %s has not come within %s: spec %v, status %+v (%v), checkpoint %+v (%v)\nlog: %s",
				id, what, patience, v.SpecErr, v.Status, v.StatusErr, v.LastCommit, v.LastCommitErr, w.lines(id, ""))
		}
	}
}

func (w *ward) awaitRunning(ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		w.await(id, "running", runningWell)
	}
}

func runningWell(v view) bool {
	return v.StatusErr == nil && v.LastCommitErr == nil && v.Status.State == zkpaths.StateRunning && v.Status.Reason == "" && v.LastCommit.Position > 0
}

// A logLine is what the tests read of a line of a worker's log.
type logLine struct{ Level, Task, Message, Err, Hint, Path, Child, Listen string }

// lines are those of the worker's log that are of the task and hold text, "" for any.
func (w *ward) lines(task, text string) (lines []logLine) {
	w.t.Helper()
	for _, line := range logOf(w.t, w.worker) {
		if line.Task == task && (strings.Contains(line.Message, text) || strings.Contains(line.Err, text)) {
			lines = append(lines, line)
		}
	}
	return lines
}

// logOf reads a worker's log, which is JSON to its last line: no trace of a stack.
func logOf(t *testing.T, p *servers.Program) (lines []logLine) {
	t.Helper()
	log := read(t, p.Log())
	log = log[:bytes.LastIndexByte(log, '\n')+1] // the last line may be half written
	for line := range bytes.Lines(log) {
		var l logLine
		if err := json.Unmarshal(line, &l); err != nil {
			t.Errorf("a line of the log is not JSON: %s", line)
		}
		lines = append(lines, l)
	}
	return lines
}

// kick ends the connections of an account, so that what is wrong with it shows.
func (w *ward) kick(account string) {
	w.t.Helper()
	rows, err := w.src.DB().QueryContext(w.t.Context(), "SELECT id FROM information_schema.processlist WHERE user = ?", account)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			w.t.Fatal(err)
		}
		w.exec(fmt.Sprintf("KILL %d", id))
	}
}

// everything is all that an outsider can see: the log, the znodes, the answers by HTTP and the command lines.
func (w *ward) everything() map[string][]byte {
	w.t.Helper()
	seen := map[string][]byte{"the log": read(w.t, w.worker.Log())}
	w.walk(w.root, seen)
	own := logOf(w.t, w.worker)[0]
	for _, path := range []string{"/metrics", "/livez", "/readyz", "/version", "/debug/vars"} {
		response, err := http.Get("http://" + own.Listen + path)
		if err != nil {
			w.t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil {
			w.t.Fatal(err)
		}
		seen[path] = body
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range commands {
		if text, err := os.ReadFile(name); err == nil { // else the process has ended
			seen[name] = text
		}
	}
	return seen
}

func (w *ward) walk(path string, seen map[string][]byte) {
	w.t.Helper()
	children, _, err := w.hand.Children(path)
	if err != nil {
		return // an ephemeral node that has gone
	}
	if data, _, err := w.hand.Get(path); err == nil {
		seen[path] = data
	}
	for _, child := range children {
		w.walk(path+"/"+child, seen)
	}
}

// disguises are the forms in which a password gets about.
func disguises(password string) []string {
	quoted, _ := json.Marshal(password)
	return []string{
		password, url.QueryEscape(password), url.PathEscape(password), url.UserPassword("", password).String()[1:], strings.Trim(string(quoted), `"`),
		base64.RawStdEncoding.EncodeToString([]byte(password)), base64.RawURLEncoding.EncodeToString([]byte(password)),
	}
}

// rudePort accepts connections and resets each one.
func rudePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.SetReadDeadline(time.Now().Add(250 * time.Millisecond)) // a client of MySQL waits, and is reading then
			_, _ = conn.Read(make([]byte, 1))
			_ = conn.(*net.TCPConn).SetLinger(0) // a reset, not an orderly end
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return listener.Addr().String()
}
