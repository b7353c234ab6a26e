package servers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Kind is a database server that can be a source.
type Kind string

// The kinds that scripts/install knows. MySQL is whichever version Debian unstable has, 9.7 when this was written;
// MariaDB1011 is the distribution's own MariaDB, 10.11 on Debian 12.
const (
	MySQL       Kind = "mysql"
	MariaDB1011 Kind = "mariadb"
	MariaDB118  Kind = "mariadb-11.8"
)

// Kinds are all kinds.
var Kinds = []Kind{MySQL, MariaDB1011, MariaDB118}

// User and Password are those of the account that every source has with exactly the grants that a worker needs. The
// account root has no password and every grant, from 127.0.0.1.
const (
	User     = "binkeeper"
	Password = "secret"
)

// IsMariaDB reports whether the kind is a MariaDB.
func (k Kind) IsMariaDB() bool { return k != MySQL }

// accounts are the statements that make the accounts.
func (k Kind) accounts() string {
	privileges := "REPLICATION SLAVE, REPLICATION CLIENT"
	if k.IsMariaDB() {
		privileges = "REPLICATION SLAVE, BINLOG MONITOR"
	}
	return `CREATE USER IF NOT EXISTS root@'127.0.0.1';
GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;
CREATE USER ` + User + `@'%' IDENTIFIED BY '` + Password + `';
GRANT ` + privileges + ` ON *.* TO ` + User + `@'%';
`
}

// root is the folder that holds the server's usr.
func (k Kind) root() string {
	if k == MariaDB1011 {
		return "/"
	}
	return filepath.Join(InstallRoot(), string(k))
}

// share is the folder of the server's messages, character sets and system tables.
func (k Kind) share() string {
	if k == MariaDB118 {
		return filepath.Join(k.root(), "usr/share/mariadb")
	}
	return filepath.Join(k.root(), "usr/share/mysql")
}

// server is the path of the server's program.
func (k Kind) server() string {
	if k.IsMariaDB() {
		return filepath.Join(k.root(), "usr/sbin/mariadbd")
	}
	return filepath.Join(k.root(), "usr/sbin/mysqld")
}

// program returns the command line that runs a program of the server's root. A program from another root than this
// machine's needs the libraries beside it, so its own loader starts it: unlike in a chroot it sees this machine's
// files, and needs no root.
func (k Kind) program(path string) ([]string, error) {
	if _, err := installed(string(k), path); err != nil {
		return nil, err
	}
	if k.root() == "/" {
		return []string{path}, nil
	}
	loader, err := installed(string(k), filepath.Join(k.root(), "lib*", "ld-linux-*.so.*"))
	if err != nil {
		return nil, err
	}
	libraries, err := installed(string(k), filepath.Join(k.root(), "usr/lib", "*-linux-gnu*"))
	if err != nil {
		return nil, err
	}
	return []string{loader, "--inhibit-cache", "--library-path", libraries, "--argv0", path, path}, nil
}

// environment is what a program of the server's root needs besides the caller's: the configuration of its own
// OpenSSL, not of this machine's.
func (k Kind) environment() []string {
	return append(os.Environ(), "OPENSSL_CONF="+filepath.Join(k.root(), "etc/ssl/openssl.cnf"))
}

// options are those that every call of the server needs, also while it initialises its data.
func (k Kind) options(dataDir string) []string {
	return []string{
		"--no-defaults",
		"--user=root", // ignored unless it is root, who must say so
		"--datadir=" + dataDir,
		"--basedir=" + filepath.Join(k.root(), "usr"),
		"--lc-messages-dir=" + k.share(),
		"--character-sets-dir=" + filepath.Join(k.share(), "charsets"),
		"--plugin-dir=" + filepath.Join(k.root(), "usr/lib/mysql/plugin"),
	}
}

// initialise makes the system tables and accounts in the empty folder dataDir.
func (k Kind) initialise(ctx context.Context, dataDir string) error {
	program, err := k.program(k.server())
	if err != nil {
		return err
	}
	args := append(program[1:], k.options(dataDir)...)
	var input bytes.Buffer
	if k.IsMariaDB() {
		args = append(args, "--bootstrap", "--innodb-log-file-size=16M", "--max-allowed-packet=16M")
		if err := k.writeSystemTables(&input); err != nil {
			return err
		}
	} else {
		accounts := dataDir + ".sql"
		if err := os.WriteFile(accounts, []byte(k.accounts()), 0o644); err != nil {
			return err
		}
		defer os.Remove(accounts)
		args = append(args, "--initialize-insecure", "--init-file="+accounts, "--skip-log-bin", "--secure-file-priv=")
	}
	cmd := exec.CommandContext(ctx, program[0], args...)
	cmd.Env, cmd.Stdin = k.environment(), &input
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w:\n%s", err, bytes.TrimSpace(output))
	}
	// The name of the server's identity: each copy draws its own at its first start.
	if err := os.Remove(filepath.Join(dataDir, "auto.cnf")); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// writeSystemTables writes to w what mariadb-install-db feeds a MariaDB that bootstraps, and the accounts.
func (k Kind) writeSystemTables(w *bytes.Buffer) error {
	w.WriteString("CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n")
	for _, pattern := range []string{
		"*_system_tables.sql", "*_performance_tables.sql", "*_system_tables_data.sql",
		"fill_help_tables.sql", "maria_add_gis_sp_bootstrap.sql", "*_sys_schema.sql",
	} {
		path, err := installed(string(k), filepath.Join(k.share(), pattern))
		if err != nil {
			return err
		}
		script, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		w.Write(script)
		w.WriteString("\n")
	}
	w.WriteString("FLUSH PRIVILEGES;\n" + k.accounts())
	return nil
}
