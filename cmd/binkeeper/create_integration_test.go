//go:build faults

//faults:commands

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"binkeeper/archive"
	"binkeeper/internal/cli"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/internal/stores"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

func TestCreateChecks(t *testing.T) {
	zookeeper := servertest.StartZooKeeper(t, 1).Addr()
	for _, kind := range []servers.Kind{servers.MySQL, servers.MariaDB1011} {
		t.Run(string(kind), func(t *testing.T) {
			src := servertest.StartSource(t, kind)
			// "nobody" has no grants at all, "half" one of the two.
			err := src.Exec(t.Context(), "CREATE USER nobody@'%' IDENTIFIED BY '"+servers.Password+"'", "CREATE USER half@'%' IDENTIFIED BY '"+servers.Password+"'",
				"GRANT REPLICATION SLAVE ON *.* TO half@'%'", "FLUSH BINARY LOGS")
			if err != nil {
				t.Fatal(err)
			}
			testCreateChecks(t, zookeeper+"/"+string(kind), src)
		})
	}
}

func testCreateChecks(t *testing.T, zookeeper string, src *servers.Source) {
	store, file := t.TempDir(), passwordFile(t, servers.Password)
	o := newOperator(t, "BINKEEPER_ZOOKEEPER="+zookeeper, "BINKEEPER_ARCHIVE="+store, "BINKEEPER_PASSWORD_REF=file:"+file,
		"BINKEEPER_SOURCE="+sourceURL("binkeeper", src.Addr()), "WRONG=wrong", "EMPTY=")
	refused := []struct {
		name string
		code int
		args []string
		says string // on stderr
	}{
		{"wrong password", cli.NoSource, []string{"--password-ref", "env:WRONG"}, "denies access"},
		{"empty password", cli.NoSource, []string{"--password-ref", "env:EMPTY"}, "env:EMPTY"},
		{"no such file", cli.NoSource, []string{"--password-ref", "file:" + file + "x"}, "no such file"},
		{"unknown user", cli.NoSource, []string{"--source", sourceURL("stranger", src.Addr())}, "denies access"},
		{"nobody there", cli.NoSource, []string{"--source", sourceURL("binkeeper", "127.0.0.1:1")}, "127.0.0.1:1"},
		{"no MySQL there", cli.NoSource, []string{"--source", sourceURL("binkeeper", strings.SplitN(zookeeper, "/", 2)[0]), "--timeout", "20s"}, "hint: "},
		{"no grants", cli.NoSource, []string{"--source", sourceURL("nobody", src.Addr())}, "GRANT REPLICATION SLAVE, "},
		{"half of the grants", cli.NoSource, []string{"--source", sourceURL("half", src.Addr())}, "run on the source: GRANT "},
		{"no such binlog file", cli.NotFound, []string{"--start", "mysql-bin.999999"}, "hint: the source has mysql-bin.000001 to "},
		{"no such folder", cli.NoStore, []string{"--archive", store + "/missing"}, "missing"},
		{"a file for a folder", cli.NoStore, []string{"--archive", file}, "password"},
	}
	for _, tt := range refused {
		_, stderr := o.run(tt.code, append([]string{"task", "create", "orders"}, tt.args...)...)
		if !strings.Contains(stderr, tt.says) || !strings.Contains(stderr, "\nhint: ") {
			t.Errorf("%s: stderr has no %q, or no hint: %s", tt.name, tt.says, stderr)
		}
	}
	o.run(cli.NotFound, "task", "show", "orders")

	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, stderr := o.run(cli.OK, "task", "create", "orders", "--start", "mysql-bin.000002"); !strings.Contains(stderr, "warning: everybody") {
		t.Errorf("no warning of a password that everybody reads: %q", stderr)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	testAdoption(t, o, zookeeper, store)
	testCreateAsRoot(t, o)
}

// testCreateAsRoot makes tasks in a folder of root's own, and in one of a service's.
func testCreateAsRoot(t *testing.T, o *operator) {
	if os.Geteuid() != 0 {
		return // it runs as somebody else
	}
	const service = 61234
	for _, owner := range []int{0, service} {
		dir := t.TempDir()
		if err := os.Chown(dir, owner, owner); err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprintf("made-for-%d", owner)
		_, stderr := o.run(cli.OK, "task", "create", id, "--archive", dir)
		if warns := strings.Contains(stderr, "belongs to root: workers that run as another user cannot write to it"); warns != (owner == 0) {
			t.Errorf("in a folder of user %d: %q", owner, stderr)
		}
		for _, name := range []string{id, id + "/task.json"} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Sys().(*syscall.Stat_t).Uid; int(got) != owner {
				t.Errorf("%s belongs to user %d, want %d", name, got, owner)
			}
		}
	}
}

// testAdoption takes a task with an archive away and makes it anew.
func testAdoption(t *testing.T, o *operator, zookeeper, dir string) {
	spec := o.show("orders").Spec
	store, err := stores.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := archive.New(store, "orders")
	if !spec.Owner {
		t.Error("the spec does not say that the archive has an owner")
	}
	if owner, err := a.Owner(t.Context()); err != nil || owner.TaskUID != spec.TaskUID {
		t.Errorf("task.json: %+v, %v; want task_uid %s", owner, err, spec.TaskUID)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "orders")); err != nil || len(entries) != 1 {
		t.Errorf("the checks left something behind: %v, %v", entries, err)
	}

	conn, err := dialSource(t.Context(), spec.Source, spec.PasswordRef, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	server, err := conn.Server(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	begin := func(number int64, s source.Server) {
		err := a.CreateTimeline(t.Context(), archive.Timeline{Timeline: number, Flavor: s.Flavor, ServerUUID: s.UUID, ServerUID: s.ServerUID, SourceServerID: s.ServerID,
			Reason: archive.ReasonFirst, FirstFile: "mysql-bin.000001"})
		if err != nil {
			t.Fatal(err)
		}
	}
	begin(1, server)
	anew := &operator{t, append(o.env, "BINKEEPER_ZOOKEEPER="+zookeeper+"-anew")}
	if stdout, _ := anew.run(cli.OK, "task", "create", "orders"); !strings.Contains(stdout, "goes on with the archive") {
		t.Errorf("adopted: %q", stdout)
	}
	got := anew.show("orders").Spec
	if got.TaskUID == spec.TaskUID || got.ReplicaUUID == spec.ReplicaUUID || got.ReplicaServerID == spec.ReplicaServerID {
		t.Errorf("adopted: %+v, the task was %+v", got, spec)
	}
	if owner, err := a.Owner(t.Context()); err != nil || owner.Number != 2 || owner.TaskUID != got.TaskUID || owner.TookOver != spec.TaskUID {
		t.Errorf("the archive is owned by %+v, %v; want it taken over by %s", owner, err, got.TaskUID)
	}

	testCreateRace(t, a, server, *got, zookeeper+"-race")

	other := server
	other.UUID, other.ServerID = "00000000-0000-0000-0000-000000000000", server.ServerID+1
	begin(2, other)
	anew.run(cli.OK, "task", "remove", "orders")
	_, stderr := anew.run(cli.Conflict, "task", "create", "orders")
	if !strings.Contains(stderr, "another server") || !strings.Contains(stderr, "\nhint: ") {
		t.Errorf("an archive of another server: %s", stderr)
	}
	anew.run(cli.NotFound, "task", "show", "orders")
}

// testCreateRace has two commands take the archive over for one task, of which one comes
// second to ZooKeeper: the archive is the other's.
func testCreateRace(t *testing.T, a *archive.Archive, server source.Server, spec zkpaths.Spec, zookeeper string) {
	s := openSession(t, zookeeper)
	var specs []zkpaths.Spec
	var held []*holding
	for _, uid := range []string{"won", "lost"} {
		spec.TaskUID = uid
		h, err := hold(t.Context(), a, server, uid)
		if err != nil {
			t.Fatal(err)
		}
		specs, held = append(specs, spec), append(held, h)
	}
	if err := s.CreateTask(t.Context(), "orders", specs[0]); err != nil {
		t.Fatal(err)
	}
	if err := giveWay(t.Context(), s, "orders", specs[1], held[1]); !errors.Is(err, coord.ErrTaskExists) {
		t.Errorf("the second: %v, want ErrTaskExists", err)
	}
	if err := giveWay(t.Context(), s, "orders", specs[0], held[0]); err != nil {
		t.Errorf("the first, of which the reply was lost: %v", err)
	}
	if owner, err := a.Owner(t.Context()); err != nil || owner.TaskUID != "won" {
		t.Errorf("the archive is owned by %+v, %v", owner, err)
	}
}
