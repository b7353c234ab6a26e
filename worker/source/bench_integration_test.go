//go:build faults

package source

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"strconv"
	"testing"
	"time"

	"binkeeper/internal/binlog"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
)

// BenchmarkDump reads one file of small transactions from a MySQL server and throws it
// away, next to mysqlbinlog, which writes it to a file.
func BenchmarkDump(b *testing.B) {
	const name = "mysql-bin.000002"
	source := servertest.StartSource(b, servers.MySQL)
	if err := source.Exec(b.Context(), "CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v INT)", "FLUSH BINARY LOGS",
		"INSERT INTO d.t (v) VALUES (1)", "INSERT INTO d.t (v) VALUES (2)", "FLUSH BINARY LOGS"); err != nil {
		b.Fatal(err)
	}
	paths, err := source.BinlogFiles()
	if err != nil {
		b.Fatal(err)
	}
	if err := source.Stop(); err != nil {
		b.Fatal(err)
	}
	size := repeatTransactions(b, paths[1], 700_000)
	if err := source.Start(b.Context()); err != nil {
		b.Fatal(err)
	}

	b.Run("stream", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			readAndForget(b, source, name, size)
		}
	})
	b.Run("mysqlbinlog", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			command, err := servers.Mysqlbinlog(b.Context(), "--raw", "--read-from-remote-server", "--host=127.0.0.1",
				"--port="+strconv.Itoa(source.Port()), "--user="+servers.User, "--password="+servers.Password, "--result-file="+b.TempDir()+"/", name)
			if err != nil {
				b.Fatal(err)
			}
			if out, err := command.CombinedOutput(); err != nil {
				b.Fatalf("%v: %s", err, out)
			}
		}
	})
}

func readAndForget(b *testing.B, source *servers.Source, name string, size int64) {
	target, err := ParseURL(source.URL() + "?ssl-mode=disabled&get-server-public-key=true")
	if err != nil {
		b.Fatal(err)
	}
	c, err := Connect(b.Context(), target, Options{Password: servers.Password, ReplicaServerID: 4711})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	s, err := c.Dump(b.Context(), binlog.Start{File: name})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	buf := make([]byte, 0, 1<<20)
	for s.Offset() < size {
		if buf, _, err = s.Next(buf[:0], time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}

// repeatTransactions writes the transactions of a closed file n times into it, with
// positions and checksums that fit, and returns its size.
func repeatTransactions(b *testing.B, path string, n int) int64 {
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	var events [][]byte
	for rest := data[len(binlog.Magic):]; len(rest) > 0; {
		size := binlog.ParseHeader(rest).Size
		events = append(events, rest[:size])
		rest = rest[size:]
	}
	last := len(events) - 1
	out := append([]byte(nil), binlog.Magic[:]...)
	write := func(events [][]byte) {
		for _, event := range events {
			out = append(out, event...)
			copied := out[len(out)-len(event):]
			binary.LittleEndian.PutUint32(copied[13:], uint32(len(out)))
			end := len(copied) - binlog.ChecksumSize
			binary.LittleEndian.PutUint32(copied[end:], crc32.ChecksumIEEE(copied[:end]))
		}
	}
	write(events[:2])
	for range n / 2 {
		write(events[2:last])
	}
	write(events[last:])
	if err := os.WriteFile(path, out, 0o640); err != nil {
		b.Fatal(err)
	}
	return int64(len(out))
}
