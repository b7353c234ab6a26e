//go:build faults

//faults:worker

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/zkpaths"
)

// A bad is a task that cannot be served, and how its worker says so.
type bad struct {
	id            string
	edit          func(*zkpaths.Spec)
	state, reason string
	says          string // in the status's detail
	hint          string // in its hint
	retries       int64  // that have to be made without another line in the log
	mend          func() // nil: it is left as it is
}

// badTasks are all that can be wrong with a task from its beginning.
func badTasks(w *ward, web, rude, noBinlog string) []bad {
	const starting, blocked = zkpaths.StateStarting, zkpaths.StateBlocked
	source := func(url string) func(*zkpaths.Spec) { return func(s *zkpaths.Spec) { s.Source = url } }
	ref := func(ref string) func(*zkpaths.Spec) { return func(s *zkpaths.Spec) { s.PasswordRef = ref } }
	archive := func(name string) func(*zkpaths.Spec) {
		return func(s *zkpaths.Spec) { s.Archive = "file://" + w.path(name) }
	}
	password := func(name string) func() { return func() { w.write(name, keeperPassword) } }
	return []bad{
		{"wrong-password", ref("file:" + w.path("wrong")), starting, "source-away", "denies access to user \"keeper\"", "password reference", 3, password("wrong")},
		{"no-such-user", source(w.user("stranger")), starting, "source-away", "stranger", "check the user", 3, nil},
		{"no-grants", source(w.user("nobody")), starting, "source-away", "lacks REPLICATION CLIENT", "run on the source: GRANT REPLICATION CLIENT", 3, nil},
		{"half-grants", source(w.user("half")), starting, "source-away", "lacks REPLICATION SLAVE", "run on the source: GRANT REPLICATION SLAVE ON *.* TO `half`@`%`", 3,
			func() { w.exec("GRANT REPLICATION SLAVE ON *.* TO half") }},
		{"no-such-host", source("mysql://keeper@no-such-host.invalid"), starting, "source-away", "no-such-host.invalid", "check that the server runs", 3, nil},
		{"nobody-listens", source("mysql://keeper@127.0.0.1:1"), starting, "source-away", "127.0.0.1:1", "check that the server runs", 3, nil},
		{"breaks-off", source("mysql://keeper@" + rude), starting, "source-away", rude, "check host and port", 3, nil},
		{"web-server", source("mysql://keeper@" + web), starting, "source-away", "no greeting", "a MySQL server speaks first", 1, nil},
		{"zookeeper", source("mysql://keeper@" + ensemble.Addr()), starting, "source-away", "no greeting", "a MySQL server speaks first", 1, nil},
		{"no-binlog", source("mysql://keeper@" + noBinlog), starting, "source-away", "log_bin is off", "start the server with log_bin on", 3, nil},
		{"password-missing", ref("file:" + w.path("missing")), starting, "source-away", "there is no such file", "must exist on every machine", 3, password("missing")},
		{"password-empty", ref("file:" + w.path("empty")), starting, "source-away", "the file is empty", "write the password into it", 3, password("empty")},
		{"password-folder", ref("file:" + w.path("folder")), starting, "source-away", "it is a folder", "name the file", 3, nil},
		{"password-unset", ref("env:BINKEEPER_SECRET_NOT_SET"), starting, "source-away", "env:BINKEEPER_SECRET_NOT_SET", "set it in the environment", 3, nil},
		{"password-elsewhere", ref("file:/etc/passwd"), blocked, "not-allowed", "file:/etc/passwd: it is in no folder", "--secrets-dir", 0, nil},
		{"password-linked", ref("file:" + w.path("link")), blocked, "not-allowed", "which leads to /etc/passwd", "--secrets-dir", 0, nil},
		{"password-climbing", ref("file:" + w.path("folder") + strings.Repeat("/..", 20) + "/etc/passwd"), blocked, "not-allowed", "which leads to /etc/passwd", "--secrets-dir", 0, nil},
		{"password-variable", ref("env:PATH"), blocked, "not-allowed", "env:PATH", "--secrets-env-prefix", 0, nil},
		{"plain-text", source(w.user("plain") + "&ssl-mode=DISABLED"), starting, "source-away", "whole password", "get-server-public-key=true", 3, nil},
		{"archive-missing", archive("unmounted"), starting, "store-away", "unmounted", "mount the share", 3, func() { w.mkdir("unmounted") }},
		{"archive-file", archive("password"), starting, "store-away", "password", "an archive needs a folder", 3, nil},
		{"archive-read-only", archive("read-only"), starting, "store-away", "read-only", "mount the file system for writing", 3, nil},
		{"archive-other-task", archive("archive-good"), blocked, "other-task", "uid-good", "name another --archive", 0, nil},
		{"start-unknown", func(s *zkpaths.Spec) { s.Start = "mysql-bin.777777" }, blocked, "purged", "mysql-bin.777777", "--start earliest", 0, nil},
		{"bad-source", source("postgres://db1/x"), blocked, "bad-spec", "source URL", "want mysql://", 0, nil},
		{"bad-reference", ref(keeperPassword), blocked, "bad-spec", "password reference", "file:/path", 0, nil},
		{"bad-archive", func(s *zkpaths.Spec) { s.Archive = "ftp://h/x" }, blocked, "bad-spec", "archive URL", "file:///", 0, nil},
		{"bad-size", func(s *zkpaths.Spec) { s.SegmentSize = 1 }, blocked, "bad-spec", "segment_size", "/tasks/bad-size", 0, nil},
		{"bad-interval", func(s *zkpaths.Spec) { s.FlushInterval = -1 }, blocked, "bad-spec", "flush_interval", "/tasks/bad-interval", 0, nil},
		{"bad-start", func(s *zkpaths.Spec) { s.Start = "../../x" }, blocked, "bad-spec", "start", "/tasks/bad-start", 0, nil},
		{"bad-owner", func(s *zkpaths.Spec) { s.TaskUID = "" }, blocked, "bad-spec", "task_uid", "/tasks/bad-owner", 0, nil},
		{"bad-replica", func(s *zkpaths.Spec) { s.ReplicaServerID = 0 }, blocked, "bad-spec", "replica_server_id", "/tasks/bad-replica", 0, nil},
	}
}

// payloads are what may stand in a znode and is no payload of this version.
var payloads = map[string]string{
	"garbage": "\x00\xffgarbage\n{",
	"empty":   "",
	"huge":    `{"format":1,"x":"` + strings.Repeat("x", 1_000_000) + `"}`, // ZooKeeper takes 1 MiB less the request's head
	"future":  `{"format":2,"state":"running","term":"seven","desired":{}}`,
}

// TestBadInput gives one worker every bad task at once, and good ones among them.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := newWard(t)
	w.exec("CREATE USER nobody IDENTIFIED BY '"+keeperPassword+"'", "CREATE USER plain IDENTIFIED BY '"+keeperPassword+"'",
		"CREATE USER half IDENTIFIED BY '"+keeperPassword+"'", "GRANT REPLICATION CLIENT ON *.* TO half",
		"CREATE USER later IDENTIFIED BY '"+keeperPassword+"'", "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO later")
	noBinlog := servertest.StartSource(t, servers.MariaDB1011, "--skip-log-bin")
	if err := noBinlog.Exec(t.Context(), "CREATE USER keeper IDENTIFIED BY '"+keeperPassword+"'", "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO keeper"); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	lost := map[string]*servers.Program{}
	for name, address := range map[string]string{"MySQL": w.src.Addr(), "web": web.Listener.Addr().String(), "nobody": "127.0.0.1:1", "no host": "no-such-host.invalid:2181"} {
		lost[name] = w.spawn("lost-"+name, program, "--server-id", "1", "--zookeeper", address, "--listen", "")
	}

	w.write("wrong", "wrong")
	w.write("empty", "\n")
	w.mkdir("folder")
	w.mkdir("read-only")
	w.mkdir("full")
	must(t, os.Symlink("/etc/passwd", w.path("link")))
	w.write("open", keeperPassword)
	if err := os.Chmod(w.path("open"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.create("good", nil)
	w.create("world-readable", func(s *zkpaths.Spec) { s.PasswordRef = "file:" + w.path("open") })
	w.create("full", func(s *zkpaths.Spec) { s.Archive = "file://" + w.path("full") })
	for _, id := range []string{"later-spec", "later-checkpoint", "later-future", "later-status", "later-archive"} {
		w.create(id, nil)
	}
	w.create("later-account", func(s *zkpaths.Spec) { s.Source = w.user("later") })
	for kind, data := range payloads {
		for name, path := range map[string]func(string) string{"spec": zkpaths.Task, "checkpoint": zkpaths.Checkpoint, "status": zkpaths.State} {
			w.create(kind+"-"+name, nil)
			w.set(path(kind+"-"+name), []byte(data))
		}
	}
	w.addForeign("good")
	tasks := badTasks(w, web.Listener.Addr().String(), rudePort(t), noBinlog.Addr())
	for _, tt := range tasks {
		w.create(tt.id, tt.edit)
	}
	w.claimArchive("good", "archive-other-task")

	// Some pages are left for the archive's first objects; then it is full in the middle of the stream.
	w.start(`cd "` + w.dir + `"
mount -t tmpfs -o size=64k tmpfs full
head -c 32k /dev/zero >full/ballast
mount --bind read-only read-only
mount -o remount,bind,ro read-only`)
	w.awaitRunning("good", "world-readable", "later-spec", "later-checkpoint", "later-future", "later-status", "later-archive", "later-account",
		"garbage-status", "empty-status", "huge-status")
	w.make("/tasks/later-spec/instance/server_9_", zk.FlagEphemeral|zk.FlagSequence, "\x00garbage")

	w.run("full", w.testFull)
	w.run("from the beginning", func(t *testing.T) { w.testTasks(t, tasks) })
	w.run("payloads", w.testPayloads)
	w.run("later", w.testLater)
	w.run("foreign", w.testForeign)
	w.run("no ZooKeeper there", func(t *testing.T) { testLost(t, lost) })
	w.run("secrets", w.testSecrets)
	if err := w.worker.Stop(); err != nil {
		t.Error(err)
	}
	if code := w.worker.ExitCode(); code != 0 {
		t.Errorf("the worker ended with exit code %d, want 0: %s", code, read(t, w.worker.Log()))
	}
}

// run runs a part of the test.
func (w *ward) run(name string, part func(*testing.T)) {
	whole := w.t
	defer func() { w.t = whole }()
	whole.Run(name, func(t *testing.T) {
		w.t = t
		part(t)
	})
}

// claimArchive makes the folder of one task's archive hold another task's of the same id, as two fleets would.
func (w *ward) claimArchive(store, id string) {
	w.t.Helper()
	dir := filepath.Join(w.path("archive-"+store), id)
	if err := os.Mkdir(dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	owner := `{"format":1,"task":"` + id + `","task_uid":"uid-` + store + `","created_at":"2026-11-20T10:43:01Z"}`
	if err := os.WriteFile(filepath.Join(dir, "task.json"), []byte(owner), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// testTasks wants every task to say what is wrong in its status, and once in the log.
func (w *ward) testTasks(t *testing.T, tasks []bad) {
	for _, tt := range tasks {
		v := w.await(tt.id, tt.state+" for "+tt.reason, func(v view) bool {
			return v.Status.State == tt.state && v.Status.Reason == tt.reason && v.Status.Reconnects >= tt.retries
		})
		if !strings.Contains(v.Status.Detail, tt.says) || !strings.Contains(v.Status.Hint, tt.hint) {
			t.Errorf("%s: detail %q, hint %q; want %q and %q in them", tt.id, v.Status.Detail, v.Status.Hint, tt.says, tt.hint)
		}
		if lines := w.lines(tt.id, "cannot archive now"); len(lines) != 1 || lines[0].Hint != v.Status.Hint {
			t.Errorf("%s: %d lines say in the log what is wrong, want one, with the hint: %+v", tt.id, len(lines), lines)
		}
		if lines := w.lines(tt.id, ""); len(lines) > 3 { // in line, primary, cannot archive
			t.Errorf("%s: %d lines in the log, want 3: %+v", tt.id, len(lines), lines)
		}
	}
	for _, tt := range tasks {
		if tt.mend != nil {
			tt.mend()
		}
	}
	for _, tt := range tasks {
		if tt.mend != nil {
			w.awaitRunning(tt.id)
		}
	}
	if entries, err := os.ReadDir(w.path("archive-bad-owner")); err != nil || len(entries) != 0 {
		t.Errorf("a task without a task_uid has written to its archive: %v, %v", entries, err)
	}
	if lines := w.lines("world-readable", "everybody on this machine can read"); len(lines) != 1 {
		t.Errorf("%d warnings of a password that everybody can read, want one", len(lines))
	}
}

// testPayloads wants what cannot be read to block its task and no other, and to be left as it is.
func (w *ward) testPayloads(t *testing.T) {
	reasons := map[string]string{"spec": zkpaths.BlockedBadSpec, "checkpoint": zkpaths.BlockedNoPosition}
	paths := map[string]func(string) string{"spec": zkpaths.Task, "checkpoint": zkpaths.Checkpoint}
	for kind, data := range payloads {
		for name, reason := range reasons {
			id := kind + "-" + name
			if kind == "future" {
				reason = zkpaths.BlockedNewerFormat
			}
			v := w.await(id, "blocked", func(v view) bool { return v.Status.State == zkpaths.StateBlocked })
			if path := paths[name](id); v.Status.Reason != reason || v.Status.Hint == "" || !strings.Contains(v.Status.Detail, path) {
				t.Errorf("%s: blocked for %q (%q, hint %q), want %s, a hint and %s", id, v.Status.Reason, v.Status.Detail, v.Status.Hint, reason, path)
			} else if got := w.get(path); string(got) != data {
				t.Errorf("%s: %s was overwritten: %.100q", id, path, got)
			}
			if lines := w.lines(id, "cannot serve the task yet"); len(lines) != 1 || lines[0].Hint == "" {
				t.Errorf("%s: the log says %d times what is wrong, want once, with a hint: %+v", id, len(lines), lines)
			}
		}
	}
	if got := w.get(zkpaths.State("future-status")); string(got) != payloads["future"] {
		t.Errorf("a status of a newer format was overwritten: %.100q", got)
	}
	if lines := w.lines("future-status", "cannot serve the task yet"); len(lines) != 1 || lines[0].Hint == "" {
		t.Errorf("a status of a newer format: the log says so %d times, want once, with a hint: %+v", len(lines), lines)
	}
	good, bad := zkpaths.LastCommit{}, "garbage-checkpoint"
	w.set(zkpaths.Checkpoint(bad), w.encode(&good))
	w.awaitBeyondLook(bad)
}

// awaitBeyondLook pauses and resumes a blocked task, so that it need not be waited for.
func (w *ward) awaitBeyondLook(id string) {
	w.t.Helper()
	for _, desired := range []string{zkpaths.Paused, zkpaths.Running} {
		_, err := w.sess.UpdateSpec(w.t.Context(), id, func(s *zkpaths.Spec) error { s.Desired = desired; return nil })
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.awaitRunning(id)
}

// testLater breaks tasks that run.
func (w *ward) testLater(t *testing.T) {
	spec := w.get(zkpaths.Task("later-spec"))
	for _, data := range []string{payloads["garbage"], payloads["empty"], payloads["huge"], payloads["future"]} {
		w.set(zkpaths.Task("later-spec"), []byte(data))
	}
	w.set(zkpaths.State("later-status"), []byte(payloads["garbage"]))
	w.set(zkpaths.Checkpoint("later-checkpoint"), []byte(payloads["garbage"]))
	w.set(zkpaths.Checkpoint("later-future"), []byte(payloads["future"]))
	for _, node := range []string{"/workers/server_1", zkpaths.Member("later-status", w.look("later-status").Line[0].Name)} {
		w.set(node, []byte(payloads["garbage"]))
	}
	if err := os.RemoveAll(w.path("archive-later-archive")); err != nil {
		t.Fatal(err)
	}
	w.exec("REVOKE REPLICATION SLAVE ON *.* FROM later", "INSERT INTO d.t (text) VALUES ('later')")
	w.kick("later")

	blocked := w.await("later-future", "blocked", func(v view) bool { return v.Status.State == zkpaths.StateBlocked })
	if blocked.Status.Reason != zkpaths.BlockedNewerFormat || string(w.get(zkpaths.Checkpoint("later-future"))) != payloads["future"] {
		t.Errorf("a checkpoint of a newer format: %+v", blocked.Status)
	}
	w.await("later-checkpoint", "a checkpoint rebuilt from the archive", func(v view) bool { return runningWell(v) && v.LastCommit.Timeline == 1 })
	w.await("later-status", "a readable status", runningWell)
	if v := w.look("later-spec"); v.SpecErr == nil || !runningWell(v) {
		t.Errorf("with an unreadable spec: %v, %+v; want it to go on", v.SpecErr, v.Status)
	}
	if lines := w.lines("later-spec", "keeping to the last good spec"); len(lines) == 0 || len(lines) > len(payloads) || lines[0].Hint == "" {
		t.Errorf("the log says %d times that the spec cannot be read, want at most once a change, with a hint: %+v", len(lines), lines)
	}
	w.set(zkpaths.Task("later-spec"), spec)

	w.wantOnce(t, "later-archive", "store-away", "", "mount the share")
	w.wantOnce(t, "later-account", "source-away", "lacks REPLICATION SLAVE", "GRANT REPLICATION SLAVE")
	w.mkdir("archive-later-archive")
	v := w.await("later-archive", "blocked", func(v view) bool { return v.Status.State == zkpaths.StateBlocked })
	if v.Status.Reason != zkpaths.BlockedArchiveBehind || !strings.Contains(v.Status.Hint, "mount") {
		t.Errorf("an archive that was emptied: %+v", v.Status)
	}
	w.exec("GRANT REPLICATION SLAVE ON *.* TO later", "ALTER USER later IDENTIFIED BY 'changed'")
	w.await("later-account", "denied", func(v view) bool { return strings.Contains(v.Status.Detail, "denies access") })
	w.exec("ALTER USER later IDENTIFIED BY '" + keeperPassword + "'")
	w.awaitRunning("later-account", "later-spec", "good")
}

// wantOnce wants a task that ran to say what is wrong now: in the status, and once in the log over several retries.
func (w *ward) wantOnce(t *testing.T, id, reason, says, hint string) {
	t.Helper()
	v := w.await(id, reason, func(v view) bool {
		return v.Status.State == zkpaths.StateStarting && v.Status.Reason == reason && v.Status.Reconnects >= 3 && strings.Contains(v.Status.Hint, hint)
	})
	if !strings.Contains(v.Status.Detail, says) {
		t.Errorf("%s: detail %q, want %q in it", id, v.Status.Detail, says)
	}
	seen := map[string]int{}
	for _, line := range w.lines(id, "cannot archive now") {
		if seen[line.Err]++; seen[line.Err] > 1 {
			t.Errorf("%s: the log says again %q", id, line.Err)
		}
	}
	if n := w.lines(id, "archiving"); len(n) > 1 {
		t.Errorf("%s: the log says %d times that it is archiving, want once", id, len(n))
	}
}

// testFull wants a disk that is full in the middle of the stream to be said once, and not to make the task flap.
func (w *ward) testFull(t *testing.T) {
	for range 20 {
		w.exec("INSERT INTO d.t (text) VALUES (HEX(RANDOM_BYTES(1000)))")
		time.Sleep(60 * time.Millisecond) // longer than the flush interval: each is a segment
	}
	w.await("full", "full", func(v view) bool { return v.Status.Reason == "store-away" })
	before := w.look("full").Status
	after := w.await("full", "retries", func(v view) bool { return v.Status.Reconnects >= before.Reconnects+3 }).Status
	if after.Reason != "store-away" || !strings.Contains(after.Hint, "free some space") || after.Changes > before.Changes+2 {
		t.Errorf("full: %+v, before it was %+v", after, before)
	}
	if lines := w.lines("full", "no space left"); len(lines) == 0 || len(lines) > 2 {
		t.Errorf("the log says %d times that the disk is full, want it once when it was full and once more at most: %+v", len(lines), lines)
	}
	inside := "/proc/" + strconv.Itoa(w.worker.Pid()) + "/root" + w.path("full")
	if err := os.Remove(filepath.Join(inside, "ballast")); err != nil {
		t.Fatal(err)
	}
	w.awaitRunning("full")
}

// addForeign makes znodes by hand that are none of the fleet's, wherever they can stand.
func (w *ward) addForeign(task string) {
	w.make("/foreign", 0, "x")
	w.make("/tasks/no task", 0, "x")
	w.make("/workers/foreign", 0, "x")
	for _, parent := range []string{zkpaths.Task(task), zkpaths.Line(task), zkpaths.Checkpoint(task), zkpaths.State(task)} {
		w.make(parent+"/foreign", 0, payloads["garbage"])
	}
	w.make(zkpaths.Line(task)+"/server_1_00000000001", 0, "x") // eleven digits
	w.make(zkpaths.Line(task)+"/server_9_0000000000", 0, "x")  // first in line, and no session's
}

func (w *ward) testForeign(t *testing.T) {
	warned := map[string]int{}
	for _, line := range logOf(t, w.worker) {
		if line.Message == "ignoring a foreign znode" {
			warned[line.Path+"/"+line.Child]++
		}
	}
	for _, path := range []string{"/tasks/no task", "/tasks/good/instance/foreign", "/tasks/good/instance/server_1_00000000001", "/tasks/good/instance/server_9_0000000000"} {
		if warned[path] != 1 {
			t.Errorf("the log warns %d times of %s, want once", warned[path], path)
		}
	}
	for _, path := range []string{"/foreign", "/tasks/no task", "/tasks/good/instance/foreign", "/tasks/good/lastCommit/foreign"} {
		w.get(path) // it is still there
	}
}

// testLost wants workers whose --zookeeper names something else to say so once, and to go on trying.
func testLost(t *testing.T, lost map[string]*servers.Program) {
	for name, p := range lost {
		lines := logOf(t, p)
		if !p.Running() || len(lines) != 2 || !strings.Contains(lines[1].Message, "cannot connect to ZooKeeper") || lines[1].Hint == "" {
			t.Errorf("%s: running: %v; the log, want two lines: %+v", name, p.Running(), lines)
		}
		if err := p.Stop(); err != nil || p.ExitCode() != 0 {
			t.Errorf("%s: after SIGTERM: %v, exit code %d", name, err, p.ExitCode())
		}
	}
}

// testSecrets looks for the password wherever an outsider can look.
func (w *ward) testSecrets(t *testing.T) {
	// An operator has given the password for a reference here, which no worker may pass on.
	given := w.root + zkpaths.Task("bad-reference")
	for name, text := range w.everything() {
		for _, form := range disguises(keeperPassword) {
			if name != given && bytes.Contains(text, []byte(form)) {
				t.Errorf("%s shows the password as %s", name, form)
			}
		}
	}
}
