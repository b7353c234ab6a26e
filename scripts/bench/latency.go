package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"
)

// commitRate is how many transactions a second one client commits while the latency is measured.
const commitRate = 1000

// latency measures how long it takes from a commit's return at the source to the transaction's being in the archive.
// One client alone commits, so that the GTIDs of its transactions are consecutive, and segments say which they hold.
func (s *scene) latency(ctx context.Context) error {
	source, err := servers.StartSource(ctx, servers.SourceOptions{
		Kind: servers.MySQL, Dir: filepath.Join(s.stack.Dir, "latency"), Args: []string{"--sync-binlog=0", "--innodb-flush-log-at-trx-commit=0"},
	})
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Join(s.stack.Dir, "latency"))
	defer source.Close()
	if err := source.Exec(ctx, "CREATE DATABASE bench", "CREATE TABLE bench.orders (id BIGINT AUTO_INCREMENT PRIMARY KEY, customer INT)"); err != nil {
		return err
	}
	for _, flush := range []time.Duration{time.Second, 50 * time.Millisecond} {
		waits, err := s.waits(ctx, source, flush)
		if err != nil {
			return err
		}
		at := func(share float64) time.Duration { return waits[int(share*float64(len(waits)-1))] }
		bound := flush + 100*time.Millisecond
		s.report.limit(fmt.Sprintf("commit to durable, %d a second, flush interval %s, %d transactions", commitRate, flush, len(waits)),
			fmt.Sprintf("p50 %s, p99 %s, max %s", millis(at(0.5)), millis(at(0.99)), millis(at(1))), "p99 "+millis(bound), at(0.99) <= bound)
	}
	return nil
}

// waits returns the latencies, the shortest first.
func (s *scene) waits(ctx context.Context, source *servers.Source, flush time.Duration) ([]time.Duration, error) {
	if err := os.RemoveAll(s.out()); err != nil {
		return nil, err
	}
	id, err := s.createTask(ctx, source.URL()+plainQuery, s.out(), "--flush-interval", flush.String(), "--start", "current")
	if err != nil {
		return nil, err
	}
	w, err := s.startWorker(ctx, "latency", id)
	if err != nil {
		return nil, err
	}
	defer w.Close()
	if _, err := s.await(ctx, id, 5*time.Millisecond, "the dump", func(v coord.TaskView) bool { return v.Status.State == zkpaths.StateRunning }); err != nil {
		return nil, err
	}
	before, err := lastGTID(ctx, source)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	commits := make([]time.Time, 10*commitRate)
	if s.quick {
		commits = commits[:5*commitRate]
	}
	go func() { done <- commitEvenly(ctx, source, commits) }()
	seen, err := watchSegments(ctx, s.out(), id, before+int64(len(commits)))
	if err := errors.Join(err, <-done); err != nil {
		return nil, err
	}
	waits := make([]time.Duration, len(commits))
	for i, at := range commits {
		arrived := slices.IndexFunc(seen, func(x sighting) bool { return x.upTo > before+int64(i) })
		waits[i] = seen[arrived].at.Sub(at)
	}
	slices.Sort(waits)
	return waits, w.Stop()
}

// commitEvenly commits one transaction for each of commits, and notes when it has returned.
func commitEvenly(ctx context.Context, source *servers.Source, commits []time.Time) error {
	conn, err := source.DB().Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	pace := time.NewTicker(time.Second / commitRate)
	defer pace.Stop()
	for i := range commits {
		<-pace.C
		if _, err := conn.ExecContext(ctx, "INSERT INTO bench.orders (customer) VALUES (1)"); err != nil {
			return err
		}
		commits[i] = time.Now()
	}
	return nil
}

// lastGTID is the number of the source's last transaction.
func lastGTID(ctx context.Context, source *servers.Source) (int64, error) {
	var set string
	if err := source.DB().QueryRowContext(ctx, "SELECT @@global.gtid_executed").Scan(&set); err != nil {
		return 0, err
	}
	return lastNumber(set)
}

// lastNumber is the last number of a GTID set of one UUID: uuid:1-5.
func lastNumber(set string) (int64, error) {
	return strconv.ParseInt(set[strings.LastIndexAny(set, ":-")+1:], 10, 64)
}

// A sighting is when the transactions up to a GTID were first seen in the archive.
type sighting struct {
	upTo int64
	at   time.Time
}

// watchSegments looks for new segments every millisecond, until the transaction last is in one. A segment is durable
// when its folder is synced, which the worker does as soon as the name is seen.
func watchSegments(ctx context.Context, dir, id string, last int64) (seen []sighting, err error) {
	store, err := dirstore.Open(dir)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for len(seen) == 0 || seen[len(seen)-1].upTo < last {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for transaction %d: %w", last, ctx.Err())
		}
		found, err := filepath.Glob(filepath.Join(dir, id, "*", "*", "*.zst"))
		if err != nil {
			return nil, err
		}
		now := time.Now()
		for _, name := range found {
			if known[name] {
				continue
			}
			known[name] = true
			rel, err := filepath.Rel(dir, name)
			if err != nil {
				return nil, err
			}
			meta, _, err := archive.ReadMeta(ctx, store, path.Clean(filepath.ToSlash(rel)))
			if err != nil {
				return nil, err
			}
			if meta.GTIDSet == "" {
				continue
			}
			upTo, err := lastNumber(meta.GTIDSet)
			if err != nil {
				return nil, err
			}
			seen = append(seen, sighting{upTo, now})
		}
	}
	return seen, nil
}
