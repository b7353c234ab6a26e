//go:build faults

//faults:source

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"binkeeper/archive"
	"binkeeper/internal/servers"
)

// A source that encrypts its binlog sends it decrypted, so that what is archived is what the source's own tool reads
// from it. The file itself has a header more.
func TestEncryptedBinlog(t *testing.T) {
	t.Setenv("BINKEEPER_SERVERS", mysqlWithKeyring(t)) // before the source, and not in parallel
	s := newStage(t, servers.MySQL, "--binlog-encryption=ON", "--max-binlog-size=1M")
	s.createTask()
	s.start("1", "2")
	l := startLoad(t, s.src)
	v := s.awaitServing(0)
	l.await(100)
	s.start(s.killPrimary().Line[0].ServerID)
	s.awaitServing(v.LastCommit.Term)
	newClient(t, s.src).exec("ALTER INSTANCE ROTATE BINLOG MASTER KEY")
	l.await(100)
	l.stop()

	files := s.awaitClosed()
	export, decrypted := filepath.Join(t.TempDir(), "export"), t.TempDir()
	must(t, archive.New(s.store(), task).Export(t.Context(), export, archive.Newest, nil))
	for _, file := range files {
		name := filepath.Base(file)
		if magic := string(read(t, file)[:4]); magic != "\xfdbin" {
			t.Fatalf("%s begins with %q: it is not encrypted", name, magic)
		}
		cmd, err := servers.Mysqlbinlog(t.Context(), "--raw", "--read-from-remote-server", "--host=127.0.0.1", fmt.Sprintf("--port=%d", s.src.Port()),
			"--user=root", "--result-file="+decrypted+"/", name)
		must(t, err)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("mysqlbinlog %s: %v\n%s", name, err, out)
		}
		s.compareFile(filepath.Join(decrypted, name), filepath.Join(export, name))
	}
	t.Logf("%d files are equal", len(files))
	s.checkSegments()
	s.checkHistory()
}

// mysqlWithKeyring returns a folder of servers in which MySQL keeps its keys in a file: a server looks for what says so
// beside its own program, which is a link here.
func mysqlWithKeyring(t *testing.T) string {
	t.Helper()
	installed, root := filepath.Join(servers.InstallRoot(), string(servers.MySQL)), t.TempDir()
	mysql := filepath.Join(root, string(servers.MySQL))
	made := []string{".", "usr", "usr/sbin", "usr/lib", "usr/lib/mysql", "usr/lib/mysql/plugin"}
	for _, dir := range made {
		must(t, os.MkdirAll(filepath.Join(mysql, dir), 0o755))
		entries, err := os.ReadDir(filepath.Join(installed, dir))
		must(t, err)
		for _, entry := range entries {
			name := filepath.Join(dir, entry.Name())
			if !slices.Contains(made, name) {
				must(t, os.Symlink(filepath.Join(installed, name), filepath.Join(mysql, name)))
			}
		}
	}
	config := fmt.Sprintf(`{"path": %q, "read_only": false}`, filepath.Join(root, "keyring"))
	must(t, os.WriteFile(filepath.Join(mysql, "usr/sbin/mysqld.my"), []byte(`{"components": "file://component_keyring_file"}`), 0o644))
	must(t, os.WriteFile(filepath.Join(mysql, "usr/lib/mysql/plugin/component_keyring_file.cnf"), []byte(config), 0o600))
	return root
}
