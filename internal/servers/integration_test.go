//go:build integration

package servers_test

import (
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
)

func TestSource(t *testing.T) {
	for _, kind := range servers.Kinds {
		t.Run(string(kind), func(t *testing.T) {
			began := time.Now()
			source := servertest.StartSource(t, kind)
			t.Logf("first start %s", time.Since(began).Round(time.Millisecond))
			if err := source.Exec(t.Context(), "CREATE DATABASE d", "CREATE TABLE d.t (a INT)", "INSERT INTO d.t VALUES (1)"); err != nil {
				t.Fatal(err)
			}
			checkBinlogFiles(t, source, 1)

			source.Kill()
			if source.Running() {
				t.Error("it runs after Kill")
			}
			restart(t, source)
			if err := source.Exec(t.Context(), "INSERT INTO d.t VALUES (2)"); err != nil {
				t.Fatal(err)
			}
			checkBinlogFiles(t, source, 2)

			if err := source.Stop(); err != nil {
				t.Fatal(err)
			}
			restart(t, source)
			var rows int
			if err := source.DB().QueryRowContext(t.Context(), "SELECT COUNT(*) FROM d.t").Scan(&rows); err != nil || rows != 2 {
				t.Errorf("rows = %d, %v, want 2", rows, err)
			}
			checkBinlogFiles(t, source, 3)
			checkAccount(t, source)
		})
	}
}

func restart(t *testing.T, source *servers.Source) {
	t.Helper()
	began := time.Now()
	if err := source.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("start again %s", time.Since(began).Round(time.Millisecond))
}

// checkBinlogFiles compares the names and sizes that the server shows with the files on disk.
func checkBinlogFiles(t *testing.T, source *servers.Source, want int) {
	t.Helper()
	var shown []string
	for _, row := range query(t, source.DB(), "SHOW BINARY LOGS") {
		shown = append(shown, row[0]+" "+row[1])
	}
	files, err := source.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %d", filepath.Base(file), info.Size()))
	}
	if !slices.Equal(got, shown) || len(got) != want {
		t.Errorf("binlog files %q, the server shows %q, want %d", got, shown, want)
	}
}

// checkAccount logs in as the worker's account, over TLS that it verifies, and compares its grants.
func checkAccount(t *testing.T, source *servers.Source) {
	t.Helper()
	ca, err := os.ReadFile(source.CA())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User, config.Passwd = "tcp", source.Addr(), servers.User, servers.Password
	config.TLS = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	if config.TLS.Certificates, err = clientCertificate(source); err != nil {
		t.Fatal(err)
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	want := "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO"
	if source.Kind().IsMariaDB() {
		want = "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO"
	}
	grants := query(t, db, "SHOW GRANTS")
	if len(grants) != 1 || !strings.HasPrefix(grants[0][0], want) {
		t.Errorf("grants %q, want %q", grants, want)
	}
}

func clientCertificate(source *servers.Source) ([]tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(source.ClientCertificate())
	return []tls.Certificate{cert}, err
}

func query(t *testing.T, db *sql.DB, statement string) [][]string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var got [][]string
	for rows.Next() {
		row := make([]string, len(columns))
		into := make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		got = append(got, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestZooKeeperStandalone(t *testing.T) {
	began := time.Now()
	zooKeeper := servertest.StartZooKeeper(t, 1)
	t.Logf("start %s", time.Since(began).Round(time.Millisecond))
	zkCli(t, zooKeeper.Addr(), "create", "/kept", "value")

	server := zooKeeper.Servers()[0]
	server.Kill()
	began = time.Now()
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("start again %s", time.Since(began).Round(time.Millisecond))
	if got := zkCli(t, zooKeeper.Addr(), "get", "/kept"); !strings.Contains(got, "value\n") {
		t.Errorf("get /kept = %q, want value", got)
	}
	if mode, err := server.Mode(t.Context()); mode != "standalone" {
		t.Errorf("mode = %q, %v, want standalone", mode, err)
	}
}

func zkCli(t *testing.T, addr string, args ...string) string {
	t.Helper()
	output, err := servers.ZKCli(t.Context(), addr, args...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}
