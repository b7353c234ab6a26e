//go:build faults

//faults:commands

package main

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"binkeeper/internal/cli"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/zkpaths"
)

// oddPassword looks different in a URL and in base64.
const oddPassword = "hush/50%+ß&=?"

// A clinic is an operator who does everything wrong, and what he does it to.
type clinic struct {
	*operator
	zookeeper string
	src       *servers.Source
	dir       string
	hand      *zk.Conn
}

func newClinic(t *testing.T) *clinic {
	t.Helper()
	c := &clinic{zookeeper: servertest.StartZooKeeper(t, 1).Addr(), src: servertest.StartSource(t, servers.MySQL), dir: t.TempDir()}
	c.operator = newOperator(t, "BINKEEPER_ZOOKEEPER="+c.zookeeper, "BINKEEPER_SOURCE="+sourceURL("keeper", c.src.Addr()), "BINKEEPER_ARCHIVE="+c.path("archive"),
		"BINKEEPER_PASSWORD_REF=file:"+c.path("password"), "BINKEEPER_TIMEOUT=20s", "ODD_PASSWORD="+oddPassword)
	err := c.src.Exec(t.Context(), "CREATE USER keeper IDENTIFIED BY '"+oddPassword+"'", "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO keeper",
		"CREATE USER nobody IDENTIFIED BY '"+oddPassword+"'", "CREATE USER plain IDENTIFIED BY '"+oddPassword+"'", "CREATE USER locked IDENTIFIED BY '"+oddPassword+"' ACCOUNT LOCK")
	if err != nil {
		t.Fatal(err)
	}
	c.write("password", oddPassword+"\n")
	c.write("wrong", "wrong")
	c.write("empty", "\n")
	for _, dir := range []string{"archive", "read-only", "full", "folder"} {
		if err := os.Mkdir(c.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if c.hand, _, err = zk.Connect([]string{c.zookeeper}, 10*time.Second, zk.WithLogInfo(false)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.hand.Close)
	return c
}

func (c *clinic) path(name string) string { return filepath.Join(c.dir, name) }

func (c *clinic) write(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(c.path(name), []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// in is the clinic in a part of the test.
func (c *clinic) in(t *testing.T) *clinic {
	part := *c
	part.operator = &operator{t, c.env}
	return &part
}

// refused runs the program and wants one clear line that says says, a hint that says hint, and nothing else.
func (c *clinic) refused(code int, says, hint string, args ...string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), executable, args...)
	cmd.Env = c.env
	stdout, stderr, got := output(c.t, cmd)
	c.wantRefusal(stdout, stderr, got, code, says, hint, args)
}

func (c *clinic) wantRefusal(stdout, stderr string, got, code int, says, hint string, args []string) {
	c.t.Helper()
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, "binkeeper: warning: ") })
	clear := len(lines) == 2 && strings.HasPrefix(lines[0], "binkeeper: ") && strings.HasPrefix(lines[1], "hint: ") && stdout == ""
	if got != code || !clear || !strings.Contains(lines[0], says) || !strings.Contains(lines[1], hint) {
		c.t.Errorf("binkeeper %q: exit code %d, want %d; want a line with %q and a hint with %q\nstdout: %s\nstderr: %s", args, got, code, says, hint, stdout, stderr)
	}
	for _, form := range disguises(oddPassword) {
		if strings.Contains(stdout+stderr, form) {
			c.t.Errorf("binkeeper %q shows the password as %s: %s%s", args, form, stdout, stderr)
		}
	}
}

// disguises are the forms in which a password gets about.
func disguises(password string) []string {
	return []string{password, url.QueryEscape(password), url.PathEscape(password), url.UserPassword("", password).String()[1:],
		base64.RawStdEncoding.EncodeToString([]byte(password)), base64.RawURLEncoding.EncodeToString([]byte(password))}
}

// confined is refused where two of the folders are file systems of their own: full, and read-only.
func (c *clinic) confined(code int, says, hint string, args ...string) {
	c.t.Helper()
	const setup = `mount -t tmpfs -o size=4k tmpfs full; : >full/x; head -c 4k /dev/zero >>full/x; mount --bind read-only read-only; mount -o remount,bind,ro read-only; exec "$@"`
	cmd := exec.CommandContext(c.t.Context(), "unshare", append([]string{"--mount", "--map-root-user", "sh", "-euc", setup, "sh", executable}, args...)...)
	cmd.Env, cmd.Dir = c.env, c.dir
	stdout, stderr, got := output(c.t, cmd)
	c.wantRefusal(stdout, stderr, got, code, says, hint, args)
}

// tree is all that stands in ZooKeeper below path.
func (c *clinic) tree(path string) map[string]string {
	c.t.Helper()
	data, stat, err := c.hand.Get(path)
	if err != nil {
		c.t.Fatal(err)
	}
	tree := map[string]string{path: string(data)}
	if stat.NumChildren > 0 {
		children, _, err := c.hand.Children(path)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, child := range children {
			maps.Copy(tree, c.tree(strings.TrimSuffix(path, "/")+"/"+child))
		}
	}
	return tree
}

func (c *clinic) put(path, data string) {
	c.t.Helper()
	_, err := c.hand.Create(path, []byte(data), 0, zk.WorldACL(zk.PermAll))
	if err == zk.ErrNodeExists {
		_, err = c.hand.Set(path, []byte(data), -1)
	}
	if err != nil {
		c.t.Fatalf("write %s by hand: %v", path, err)
	}
}

func TestBadInput(t *testing.T) {
	c := newClinic(t)
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	noBinlog := servertest.StartSource(t, servers.MariaDB1011, "--skip-log-bin")
	if err := noBinlog.Exec(t.Context(), "CREATE USER keeper IDENTIFIED BY '"+oddPassword+"'", "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO keeper"); err != nil {
		t.Fatal(err)
	}
	t.Run("usage", func(t *testing.T) { c.in(t).testUsage() })
	t.Run("no ZooKeeper there", func(t *testing.T) { c.in(t).testNoZooKeeper(web.Listener.Addr().String()) })
	t.Run("create", func(t *testing.T) { c.in(t).testCreate(web.Listener.Addr().String(), noBinlog.Addr()) })
	t.Run("archive", func(t *testing.T) { c.in(t).testArchive() })
	t.Run("payloads", func(t *testing.T) { c.in(t).testPayloads() })
	t.Run("foreign", func(t *testing.T) { c.in(t).testForeign() })
}

func (c *clinic) testUsage() {
	create := func(args ...string) []string { return append([]string{"task", "create", "orders"}, args...) }
	tests := []struct {
		says string
		args []string
	}{
		{`task id ".."`, []string{"task", "create", ".."}}, {`task id "a/b"`, []string{"task", "show", "a/b"}}, {`task id ""`, []string{"task", "pause", ""}},
		{"task id", []string{"task", "create", strings.Repeat("x", 65)}}, {"task id", []string{"archive", "verify", "a\nb"}},
		{"it holds a password", create("--source", "mysql://keeper:"+url.QueryEscape(oddPassword)+"@db1")}, {"source URL", create("--source", "mysql://keeper:"+oddPassword+"@db1")},
		{"it has no user", create("--source", "mysql://db1")}, {"source URL", create("--source", "keeper@db1:3306")}, {"port", create("--source", "mysql://keeper@db1:99999")},
		{"ssl-mode", create("--source", "mysql://keeper@db1?ssl-mode=MAYBE")}, {"belong together", create("--source", "mysql://keeper@db1?ssl-key=/k")},
		{"password reference", create("--password-ref", oddPassword)}, {"nothing follows file:", create("--password-ref", "file:")},
		{"archive URL", create("--archive", "backup")}, {"archive URL", create("--archive", "file://host/x")}, {"archive URL", create("--archive", "s3://k:"+oddPassword+"@b")},
		{"root folder", create("--archive", "/")}, {`start "mysql-bin.000001:4"`, create("--start", "mysql-bin.000001:4")}, {"start", create("--start", "")},
		{"--segment-size", create("--segment-size", "many")}, {"segment_size", create("--segment-size", "1KiB")}, {"segment_size", create("--segment-size", "1GiB")},
		{"--segment-size", create("--segment-size", "-1")}, {"--segment-size", create("--segment-size", "99999999999GiB")},
		{"--flush-interval", create("--flush-interval", "soon")}, {"flush_interval", create("--flush-interval", "0s")}, {"flush_interval", create("--flush-interval", "-1s")},
		{"flush_interval", create("--flush-interval", "24h")}, {"--timeout", create("--timeout", "0s")}, {"--zookeeper", create("--zookeeper", "zk1")},
		{"port", create("--zookeeper", "zk1:99999")}, {"not a znode path", create("--zookeeper", "zk1:2181//x")}, {"source URL", []string{"task", "set", "orders", "--source", "x"}},
		{`server id "a_b"`, []string{"task", "switchover", "orders", "--to", "a_b"}}, {`"output" not set`, []string{"archive", "export", "orders"}},
	}
	for _, tt := range tests {
		c.refused(cli.BadUsage, tt.says, "", tt.args...)
	}
}

func (c *clinic) testNoZooKeeper(web string) {
	port, err := servers.FreePort()
	if err != nil {
		c.t.Fatal(err)
	}
	closed := "127.0.0.1:" + strconv.Itoa(port)
	for _, address := range []string{c.src.Addr(), web, closed, "no-such-host.invalid:2181"} {
		for _, verb := range []string{"task list", "task create orders"} {
			c.refused(cli.NoZooKeeper, address, "check that ZooKeeper runs there", append(strings.Fields(verb), "--zookeeper", address, "--timeout", "1s")...)
		}
	}
}

func (c *clinic) testCreate(web, noBinlog string) {
	c.run(cli.OK, "task", "list") // makes what every task stands below
	before := c.tree("/")
	const connect, password = "--source", "--password-ref"
	tests := []struct {
		code       int
		says, hint string
		args       []string
	}{
		{cli.NoSource, `denies access to user "keeper"`, "password reference", []string{password, "file:" + c.path("wrong")}},
		{cli.NoSource, "there is no such file", "must exist on every machine", []string{password, "file:" + c.path("missing")}},
		{cli.NoSource, "the file is empty", "write the password", []string{password, "file:" + c.path("empty")}},
		{cli.NoSource, "it is a folder", "name the file", []string{password, "file:" + c.path("folder")}},
		{cli.NoSource, "env:NOT_SET", "set it in the environment", []string{password, "env:NOT_SET"}},
		{cli.NoSource, "larger than", "name the file", []string{password, "file:" + executable}},
		{cli.NoSource, "denies access", "check the user", []string{connect, sourceURL("stranger", c.src.Addr())}},
		{cli.NoSource, "denies access", "check the user", []string{connect, sourceURL("locked", c.src.Addr())}},
		{cli.NoSource, "lacks REPLICATION SLAVE, REPLICATION CLIENT", "run on the source: GRANT", []string{connect, sourceURL("nobody", c.src.Addr())}},
		{cli.NoSource, "no-such-host.invalid", "that the address is its address", []string{connect, sourceURL("keeper", "no-such-host.invalid:3306")}},
		{cli.NoSource, "127.0.0.1:1", "check that the server runs", []string{connect, sourceURL("keeper", "127.0.0.1:1")}},
		{cli.NoSource, web, "a MySQL server speaks first", []string{connect, sourceURL("keeper", web)}},
		{cli.NoSource, c.zookeeper, "a MySQL server speaks first", []string{connect, sourceURL("keeper", c.zookeeper)}},
		{cli.NoSource, "whole password", "get-server-public-key=true", []string{connect, sourceURL("plain", c.src.Addr()) + "?ssl-mode=DISABLED"}},
		{cli.NoSource, "log_bin is off", "log_bin on", []string{connect, sourceURL("keeper", noBinlog)}},
		{cli.NoSource, c.path("missing"), "on every machine", []string{connect, sourceURL("keeper", c.src.Addr()) + "?ssl-ca=" + c.path("missing")}},
		{cli.NotFound, "mysql-bin.777777", "the source has mysql-bin.000001", []string{"--start", "mysql-bin.777777"}},
		{cli.NoStore, "missing", "mount the share", []string{"--archive", c.path("missing")}},
		{cli.NoStore, "wrong", "an archive needs a folder", []string{"--archive", c.path("wrong")}},
		{cli.NoStore, "wrong/below", "an archive needs a folder", []string{"--archive", c.path("wrong/below")}},
	}
	for _, tt := range tests {
		c.refused(tt.code, tt.says, tt.hint, append([]string{"task", "create", "orders"}, tt.args...)...)
	}
	c.confined(cli.NoStore, "read-only", "mount the file system for writing", "task", "create", "orders", "--archive", c.path("read-only"))
	c.confined(cli.NoStore, "full", "free some space", "task", "create", "orders", "--archive", c.path("full"))
	if after := c.tree("/"); !maps.Equal(after, before) {
		c.t.Errorf("something was written to ZooKeeper: %v, before %v", after, before)
	}
	if entries, err := os.ReadDir(c.path("archive")); err != nil || len(entries) != 0 {
		c.t.Errorf("something was written to the archive: %v, %v", entries, err)
	}
}

// testArchive has something else where an archive's objects belong.
func (c *clinic) testArchive() {
	for name, object := range map[string]string{"garbage": "\x00{", "empty": "", "future": `{"format":2}`, "anonymous": `{"format":1,"task":"orders"}`} {
		for _, place := range []string{"task.json", "00000001/timeline.json"} {
			store := c.path(name + "-" + filepath.Base(place))
			path := filepath.Join(store, "orders", place)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				c.t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(object), 0o600); err != nil {
				c.t.Fatal(err)
			}
			code := cli.Mismatch
			if name == "future" {
				code = cli.Failed
			}
			c.refused(code, "orders/"+place, "", "task", "create", "orders", "--archive", store)
			c.refused(code, "orders/"+place, "", "archive", "list", "orders", "--archive", store)
			if got, err := os.ReadFile(path); err != nil || string(got) != object {
				c.t.Errorf("%s was overwritten: %q, %v", path, got, err)
			}
		}
	}
	c.refused(cli.NotFound, "holds no archive of task orders", "check the task's id", "archive", "list", "orders", "--archive", c.path("archive"))
	c.refused(cli.NoStore, "missing", "mount the share", "archive", "verify", "orders", "--archive", c.path("missing"))
	c.refused(cli.NoStore, "wrong", "needs a folder", "archive", "export", "orders", "--archive", c.path("wrong"), "--output", c.path("out"))
}

// testPayloads has something else in every znode, which every verb is to name and to leave.
func (c *clinic) testPayloads() {
	c.run(cli.OK, "task", "create", "good", "--skip-checks")
	payloads := map[string]string{
		"garbage": "\x00\xffgarbage\n{", "empty": "", "huge": `{"format":1,"x":"` + strings.Repeat("x", 1_000_000) + `"}`, "future": `{"format":2,"desired":{}}`,
	}
	changes := [][]string{{"task", "pause"}, {"task", "resume"}, {"task", "remove"}, {"task", "set", "--flush-interval", "2s"}, {"archive", "list", "--archive", ""}, {"archive", "verify", "--archive", ""}}
	for kind, data := range payloads {
		nodes := map[string]func(string) string{kind + "-spec": zkpaths.Task, kind + "-checkpoint": zkpaths.Checkpoint, kind + "-status": zkpaths.State}
		for id, path := range nodes {
			c.run(cli.OK, "task", "create", id, "--skip-checks")
			c.put(path(id), data)
			if got := c.show(id); got.State != "" || !strings.Contains(got.Reason, path(id)) || got.Hint == "" {
				c.t.Errorf("task show %s: state %q, reason %q, hint %q; want the node and a hint", id, got.State, got.Reason, got.Hint)
			}
			c.refused(cli.Conflict, id, "", "task", "create", id)
			switch name := strings.TrimPrefix(id, kind+"-"); name {
			case "spec":
				c.refused(cli.Failed, path(id), "", "task", "switchover", id)
			case "status":
				c.refused(cli.Failed, path(id), "", "task", "history", id)
				c.refused(cli.Failed, path(id), "", "task", "resume", id, "--accept-gap")
			case "checkpoint":
				c.refused(cli.Failed, path(id), "", "task", "resume", id, "--accept-gap")
			}
		}
		id := kind + "-spec"
		before := c.tree("/tasks")
		for _, change := range changes {
			c.refused(cli.Failed, zkpaths.Task(id), "", slices.Insert(slices.Clone(change), 2, id)...)
		}
		if after := c.tree("/tasks"); !maps.Equal(after, before) {
			c.t.Errorf("%s: something was overwritten", kind)
		}
		c.put(zkpaths.LiveWorker(kind), data)
	}
	stdout, _ := c.run(cli.OK, "task", "list")
	if !strings.Contains(stdout, "good") || strings.Contains(stdout, "\x00") || strings.Contains(stdout, "\xff") || len(stdout) > 10_000 {
		c.t.Errorf("task list: %.2000q", stdout)
	}
	_, stderr := c.run(cli.OK, "workers")
	for kind := range payloads {
		if path := zkpaths.LiveWorker(kind); strings.Count(stderr, path) != 1 {
			c.t.Errorf("workers: no warning of %s, or two: %s", path, stderr)
		}
	}
}

// testForeign has children where none belong.
func (c *clinic) testForeign() {
	for _, path := range []string{"/foreign", "/tasks/no task", "/workers/foreign", "/tasks/good/foreign", "/tasks/good/instance/foreign", "/tasks/good/instance/server_9_0000000000", "/tasks/good/lastCommit/foreign", "/tasks/good/status/foreign"} {
		c.put(path, "\x00")
	}
	before := c.tree("/")
	var list listOutput
	c.json(&list, "task", "list")
	if slices.ContainsFunc(list.Tasks, func(row taskRow) bool { return row.ID == "no task" }) {
		c.t.Errorf("task list: %+v", list.Tasks)
	}
	if got := c.show("good"); got.State != zkpaths.StateStopped || len(got.Instances) != 0 {
		c.t.Errorf("task show: %+v", got)
	}
	if after := c.tree("/"); !maps.Equal(after, before) {
		c.t.Error("something was overwritten")
	}
	c.run(cli.OK, "task", "remove", "good")
	c.refused(cli.TimedOut, "/tasks/good/foreign", "", "task", "remove", "good", "--wait", "--timeout", "3s")
}
