//go:build faults

//faults:source

package source

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"binkeeper/internal/gtid"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
)

func TestConnections(t *testing.T) {
	eachKind(t, func(t *testing.T, source *servers.Source) {
		cert, key := source.ClientCertificate()
		// In plain text first: MySQL has not seen the password yet, and wants it whole.
		for _, parameters := range []string{"?ssl-mode=disabled&get-server-public-key=true", "", "?ssl-mode=REQUIRED", "?ssl-ca=" + source.CA(),
			"?ssl-mode=VERIFY_IDENTITY&ssl-ca=" + source.CA() + "&ssl-cert=" + cert + "&ssl-key=" + key} {
			c := connect(t, source, parameters)
			if err := c.CheckFit(t.Context()); err != nil {
				t.Errorf("%s: %v", parameters, err)
			}
		}
		server, err := connect(t, source, "").Server(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", server)
		mariaDB := source.Kind().IsMariaDB()
		if (server.Flavor == gtid.MariaDB) != mariaDB || (server.UUID == "") != mariaDB || (server.ServerUID != "") != mariaDB ||
			server.ServerID != 1 || !server.LogBin || server.SyncBinlog != 1 || server.ChecksumAlg != "CRC32" || server.Version == "" {
			t.Errorf("server %+v", server)
		}
		c := connect(t, source, "")
		if err := c.register(t.Context()); err != nil {
			t.Fatal(err)
		}
		ids, err := c.ReplicaIDs(t.Context())
		if err != nil || ids[0] != 1 || !mariaDB && !slices.Equal(ids, []uint32{1, 4711}) {
			t.Errorf("replica ids %v, %v", ids, err)
		}

		var denied *DeniedError
		options := testOptions()
		options.Password = "wrong"
		for _, parameters := range []string{"", "?ssl-mode=disabled&get-server-public-key=true"} {
			if _, err := connectWith(t, source, parameters, options); !errors.As(err, &denied) {
				t.Errorf("wrong password: %v", err)
			}
		}
		foreign := filepath.Join(t.TempDir(), "ca.pem")
		copyFile(t, cert, foreign)
		var unfit *UnfitError
		if _, err := connectWith(t, source, "?ssl-ca="+foreign, testOptions()); !errors.As(err, &unfit) || !strings.Contains(unfit.Hint(), "ssl-ca") {
			t.Errorf("foreign authority: %v", err)
		}
		testGrants(t, source)
	})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// testGrants takes grants away and expects each to be named.
func testGrants(t *testing.T, source *servers.Source) {
	t.Helper()
	second := map[bool]string{false: "REPLICATION CLIENT", true: "BINLOG MONITOR"}[source.Kind().IsMariaDB()]
	for _, missing := range []string{"REPLICATION SLAVE", second, "REPLICATION SLAVE, " + second} {
		run(t, source, "REVOKE "+missing+" ON *.* FROM binkeeper@'%'")
		err := connect(t, source, "").CheckFit(t.Context())
		var unfit *UnfitError
		want := "GRANT " + missing + " ON *.* TO `binkeeper`@`%`"
		if !errors.As(err, &unfit) || unfit.Statement != want {
			t.Errorf("%v, want %s", err, want)
			run(t, source, "GRANT "+missing+" ON *.* TO binkeeper@'%'")
			continue
		}
		run(t, source, unfit.Statement)
		if err := connect(t, source, "").CheckFit(t.Context()); err != nil {
			t.Errorf("after %s: %v", unfit.Statement, err)
		}
	}
}

func TestUnfitServer(t *testing.T) {
	var unfit *UnfitError
	source := servertest.StartSource(t, servers.MariaDB1011, "--skip-log-bin")
	if err := connect(t, source, "").CheckFit(t.Context()); !errors.As(err, &unfit) || !strings.Contains(err.Error(), "log_bin") {
		t.Errorf("no binlog: %v", err)
	}
}
