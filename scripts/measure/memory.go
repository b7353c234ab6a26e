package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"binkeeper/internal/coord"
)

// memory prints a worker's peak memory while it catches up with size bytes of one sort of binlog, for each sort.
func (s *scene) memory(ctx context.Context, size int64) error {
	for _, backlog := range backlogs {
		if err := s.catchUp(ctx, backlog, size); err != nil {
			return fmt.Errorf("%s: %w", backlog.name, err)
		}
	}
	return nil
}

// A backlog is a sort of binlog: statements that each write part of it, committed one by one.
type backlog struct {
	name   string
	table  string
	insert string
}

// Both keep no rows: only the binlog counts.
var backlogs = []backlog{
	{"bulk, rows of 1 MB", "(note LONGBLOB) ENGINE = BLACKHOLE",
		"INSERT INTO measured.backlog VALUES (REPEAT(CONCAT(UUID(), HEX(RANDOM_BYTES(500))), 1000))"},
	{"transactions of some 1.3 KB", "(note BLOB) ENGINE = BLACKHOLE",
		"INSERT INTO measured.backlog VALUES (CONCAT(UUID(), HEX(RANDOM_BYTES(50)), REPEAT('an order and its items, ', 36)))"},
}

func (s *scene) catchUp(ctx context.Context, b backlog, size int64) (err error) {
	defer func() { err = errors.Join(err, s.clear()) }()
	if err := s.set(ctx, "--sync-binlog=0", "--max-binlog-size=256M"); err != nil {
		return err
	}
	total, err := s.fill(ctx, b, size)
	if err != nil {
		return err
	}
	if _, err := s.stack.CreateTask(ctx, task); err != nil {
		return err
	}
	files, err := s.source.BinlogFiles()
	if err != nil {
		return err
	}
	newest := filepath.Base(files[len(files)-1])
	if err := s.start(ctx, "1"); err != nil {
		return err
	}
	began := time.Now()
	_, err = s.await(ctx, "the archive", func(v coord.TaskView) bool { return v.LastCommit.File == newest && v.LastCommit.Position > 0 })
	if err != nil {
		return err
	}
	took := time.Since(began)
	peak, err := peakMemory(s.workers["1"].Pid())
	if err != nil {
		return err
	}
	fmt.Printf("catching up with %d MiB of %s: peak %s, %s, %d MiB/s\n", total>>20, b.name, peak, round(took), int64(float64(total>>20)/took.Seconds()))
	return nil
}

// fill writes until the closed binlog files have size bytes, and returns how many they have.
func (s *scene) fill(ctx context.Context, b backlog, size int64) (total int64, err error) {
	err = s.source.Exec(ctx, "CREATE DATABASE measured", "CREATE TABLE measured.backlog "+b.table,
		"CREATE PROCEDURE measured.fill() BEGIN DECLARE n INT DEFAULT 0; WHILE n < 200 DO "+b.insert+"; SET n = n + 1; END WHILE; END")
	if err != nil {
		return 0, err
	}
	for total < size {
		var clients errgroup.Group
		for range 2 {
			clients.Go(func() error { return s.source.Exec(ctx, "CALL measured.fill()") })
		}
		if err := clients.Wait(); err != nil {
			return 0, err
		}
		if total, err = s.written(); err != nil {
			return 0, err
		}
	}
	return total, s.source.Exec(ctx, "FLUSH BINARY LOGS")
}

// written is how large the source's binlog files are.
func (s *scene) written() (total int64, err error) {
	files, err := s.source.BinlogFiles()
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return 0, err
		}
		total += info.Size()
	}
	return total, err
}

// peakMemory is the most that a process has had in memory, as Linux says it: "12345 kB".
func peakMemory(pid int) (string, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(status)) {
		if peak, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(peak), nil
		}
	}
	return "", fmt.Errorf("no VmHWM in the status of process %d", pid)
}
