//go:build faults

//faults:tools

package servers_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
)

func TestSourcePause(t *testing.T) {
	source := servertest.StartSource(t, servers.MariaDB1011)
	if err := source.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := source.Exec(ctx, "CREATE DATABASE d"); err == nil {
		t.Error("a paused source answers")
	}
	if err := source.Continue(); err != nil {
		t.Fatal(err)
	}
	if err := source.Exec(t.Context(), "CREATE DATABASE IF NOT EXISTS d"); err != nil {
		t.Error(err)
	}
}

func TestSourceOptions(t *testing.T) {
	source := servertest.StartSource(t, servers.MySQL, "--server-id=7", "--sync-binlog=0")
	got := query(t, source.DB(), "SELECT @@server_id, @@sync_binlog, @@gtid_mode, @@log_bin_basename")
	if want := []string{"7", "0", "ON", source.DataDir() + "/mysql-bin"}; !slices.Equal(got[0], want) {
		t.Errorf("variables %q, want %q", got[0], want)
	}

	second := servertest.StartSource(t, servers.MySQL)
	uuid, secondUUID := query(t, source.DB(), "SELECT @@server_uuid"), query(t, second.DB(), "SELECT @@server_uuid")
	if uuid[0][0] == secondUUID[0][0] {
		t.Errorf("two sources have the server_uuid %s", uuid[0][0])
	}
}

func TestSourceRunsAgainInItsFolder(t *testing.T) {
	dir := t.TempDir()
	for want := 1; want <= 2; want++ {
		source, err := servers.StartSource(t.Context(), servers.SourceOptions{Kind: servers.MariaDB1011, Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		checkBinlogFiles(t, source, want)
		if err := source.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestMysqlbinlog(t *testing.T) {
	source := servertest.StartSource(t, servers.MySQL)
	if err := source.Exec(t.Context(), "CREATE DATABASE d", "FLUSH BINARY LOGS"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd, err := servers.Mysqlbinlog(t.Context(), "--read-from-remote-server", "--raw", "--host=127.0.0.1",
		fmt.Sprintf("--port=%d", source.Port()), "--user="+servers.User, "--password="+servers.Password,
		"--result-file="+dir+"/", "mysql-bin.000001")
	if err != nil {
		t.Fatal(err)
	}
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	files, err := source.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "mysql-bin.000001"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v, that differ from the %d of the server", len(got), err, len(want))
	}
}

func TestZooKeeperEnsemble(t *testing.T) {
	began := time.Now()
	zooKeeper := servertest.StartZooKeeper(t, 3)
	t.Logf("start %s", time.Since(began).Round(time.Millisecond))
	zkCli(t, zooKeeper.Addr(), "create", "/kept", "value")

	three := zooKeeper.Servers()
	three[0].Kill()
	if err := three[1].Pause(); err != nil {
		t.Fatal(err)
	}
	if mode, err := three[1].Mode(t.Context()); err == nil {
		t.Errorf("a paused server answers that it is %s", mode)
	}
	if err := three[1].Continue(); err != nil {
		t.Fatal(err)
	}
	if err := zooKeeper.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, server := range three {
		if got := zkCli(t, server.Addr(), "get", "/kept"); !strings.Contains(got, "value\n") {
			t.Errorf("get /kept on %s = %q, want value", server.Addr(), got)
		}
	}
	for _, server := range three {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}
}
