package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"binkeeper/internal/binlog"
	"binkeeper/internal/servers"
	"binkeeper/worker/source"
)

// readerCommand is the first argument by which the benchmark calls itself, for a contender to be a process with a
// start and CPU time of its own.
const readerCommand = "reader"

// runReader is the process of a contender: the source's URL, the first file, and the file that comes after the last.
func runReader(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errUsage
	}
	target, err := source.ParseURL(args[0])
	if err != nil {
		return err
	}
	return throwAway(ctx, target, args[1], args[2])
}

// throwAway reads the stream with every check of its own, and forgets it.
func throwAway(ctx context.Context, target source.Target, first, last string) error {
	conn, err := source.Connect(ctx, target, source.Options{Password: servers.Password, ReplicaServerID: 4343})
	if err != nil {
		return err
	}
	defer conn.Close()
	s, err := conn.Dump(ctx, binlog.Start{File: first})
	if err != nil {
		return err
	}
	defer s.Close()
	buf := make([]byte, 0, 1<<20)
	for s.File() != last {
		if buf, _, err = s.Next(buf[:0], time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

// loop is our own reader, without anything behind it.
func (b *backlog) loop(query string) contender {
	return process(func(ctx context.Context) (*exec.Cmd, error) {
		self, err := os.Executable()
		return exec.CommandContext(ctx, self, readerCommand, b.source.URL()+query, b.first(), b.newest), err
	}, "")
}

// library is go-mysql's own way; program is the built scripts/bench/library.
func (b *backlog) library(program, out string) contender {
	return process(func(ctx context.Context) (*exec.Cmd, error) {
		return exec.CommandContext(ctx, program, b.source.Addr(), servers.User, servers.Password, b.first(), b.newest, out), nil
	}, out)
}

// mysqlbinlog is the contender that the source's vendor ships. It takes the newest file, too, which is all but empty.
func (b *backlog) mysqlbinlog(sslMode, out string) contender {
	return process(func(ctx context.Context) (*exec.Cmd, error) {
		return servers.Mysqlbinlog(ctx, "--raw", "--read-from-remote-server", "--to-last-log",
			"--host=127.0.0.1", "--port="+strconv.Itoa(b.source.Port()), "--user="+servers.User, "--password="+servers.Password,
			"--ssl-mode="+sslMode, "--get-server-public-key", "--result-file="+out+string(filepath.Separator), b.first())
	}, out)
}

// tools make the same product as a worker by what every machine has: the files, compressed and durable.
func (b *backlog) tools(out string) contender {
	fetch := b.mysqlbinlog("DISABLED", out)
	press := process(func(ctx context.Context) (*exec.Cmd, error) {
		return exec.CommandContext(ctx, "sh", "-c", `cd "$1" && zstd -q -1 -T0 --rm mysql-bin.* && sync mysql-bin.*`, "sh", out), nil
	}, "")
	return func(ctx context.Context) (sample, error) {
		a, err := fetch(ctx)
		if err != nil {
			return a, err
		}
		z, err := press(ctx)
		return sample{took: a.took + z.took, cpu: a.cpu + z.cpu, peak: max(a.peak, z.peak)}, err
	}
}
