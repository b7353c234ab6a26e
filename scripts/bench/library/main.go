// Command library backs a MySQL server's binlog up the way that go-mysql does it, for the benchmark to compare with.
// It is a module of its own: what the library's helper needs besides, Binkeeper does not.
//
//	library host:port user password FIRST LAST DIR
//
// It writes the files from FIRST up to LAST, which is left out, into DIR.
package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"
)

// errComplete ends the helper, which has no end of its own.
var errComplete = errors.New("the last file has begun")

func main() {
	if len(os.Args) != 7 {
		fmt.Fprintln(os.Stderr, "usage: library host:port user password FIRST LAST DIR")
		os.Exit(64)
	}
	if err := backup(os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5], os.Args[6]); err != nil {
		fmt.Fprintln(os.Stderr, "library:", err)
		os.Exit(1)
	}
}

func backup(address, user, password, first, last, dir string) error {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return err
	}
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
		ServerID: 4242, Flavor: mysql.MySQLFlavor, Host: host, Port: uint16(port), User: user, Password: password,
		DisableRetrySync: true, Logger: slog.New(slog.DiscardHandler),
	})
	defer syncer.Close()
	err = syncer.StartBackupWithHandler(mysql.Position{Name: first, Pos: 4}, time.Hour, func(file string) (io.WriteCloser, error) {
		if file == last {
			return nil, errComplete
		}
		return os.Create(filepath.Join(dir, file))
	})
	if errors.Is(err, errComplete) {
		return nil
	}
	return fmt.Errorf("back up from %s: %w", first, err)
}
