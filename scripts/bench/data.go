package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"binkeeper/internal/servers"
)

// A backlog is binlog to catch up with: the closed files of a source of its own.
type backlog struct {
	name   string
	source *servers.Source
	files  []string // names of the closed files, oldest first
	newest string   // the file after them, all but empty
	bytes  int64    // of the closed files
}

// A recipe says how a backlog is made.
type recipe struct {
	name string
	fill func(ctx context.Context, s *servers.Source) error
}

const (
	fillers = 8   // clients that write at once
	batch   = 500 // transactions a call
)

// makeBacklog starts a source in dir, and fills it unless it holds the backlog from a run before.
func makeBacklog(ctx context.Context, dir string, r recipe) (*backlog, error) {
	made := filepath.Join(dir, "made")
	s, err := servers.StartSource(ctx, servers.SourceOptions{Kind: servers.MySQL, Dir: dir, Args: []string{
		"--sync-binlog=0", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=OFF",
		"--binlog-cache-size=4M", "--max-binlog-size=256M",
	}})
	if err != nil {
		return nil, err
	}
	b := &backlog{name: r.name, source: s}
	if _, err := os.Stat(made); os.IsNotExist(err) {
		began := time.Now()
		if err := r.fill(ctx, s); err != nil {
			return b, fmt.Errorf("fill %s: %w", r.name, err)
		}
		say("made %s in %s", r.name, time.Since(began).Round(time.Second))
		if err := os.WriteFile(made, nil, 0o644); err != nil {
			return b, err
		}
	}
	return b, b.survey(ctx)
}

// survey closes the newest file and lists those before it. No client writes meanwhile.
func (b *backlog) survey(ctx context.Context) error {
	if err := b.source.Exec(ctx, "FLUSH BINARY LOGS"); err != nil {
		return err
	}
	paths, err := b.source.BinlogFiles()
	if err != nil {
		return err
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		b.files = append(b.files, filepath.Base(path))
		b.bytes += info.Size()
	}
	last := len(b.files) - 1
	b.newest, b.files = b.files[last], b.files[:last]
	return nil
}

// first is the oldest file.
func (b *backlog) first() string { return b.files[0] }

// what begins the name of a row.
func (b *backlog) what() string { return fmt.Sprintf("%s, %.0f MB: ", b.name, float64(b.bytes)/1e6) }

// dataPath returns where the source has a file.
func (b *backlog) dataPath(file string) string { return filepath.Join(b.source.DataDir(), file) }

// smallRecipe makes small transactions: one row of two numbers each, five events of 292 bytes in all.
func smallRecipe(transactions int) recipe {
	return recipe{"small", func(ctx context.Context, s *servers.Source) error {
		err := s.Exec(ctx, "CREATE DATABASE bench",
			"CREATE TABLE bench.small (id BIGINT AUTO_INCREMENT PRIMARY KEY, customer INT, amount INT)",
			`CREATE PROCEDURE bench.fill(n INT) BEGIN
				WHILE n > 0 DO
					INSERT INTO bench.small (customer, amount) VALUES (RAND() * 1000000, RAND() * 10000);
					SET n = n - 1;
				END WHILE;
			END`)
		if err != nil {
			return err
		}
		var clients errgroup.Group
		for range fillers {
			clients.Go(func() error {
				return s.Exec(ctx, slices.Repeat([]string{fmt.Sprintf("CALL bench.fill(%d)", batch)}, transactions/fillers/batch)...)
			})
		}
		return clients.Wait()
	}}
}

// rowsRecipe makes rows of size bytes, one a transaction.
func rowsRecipe(name string, rows, size int, body func(*rand.Rand, int) []byte) recipe {
	return recipe{name, func(ctx context.Context, s *servers.Source) error {
		if err := s.Exec(ctx, "CREATE DATABASE bench", "CREATE TABLE bench.document (body LONGBLOB) ENGINE = BLACKHOLE"); err != nil {
			return err
		}
		random := rand.New(rand.NewPCG(1, 2))
		for range rows {
			if _, err := s.DB().ExecContext(ctx, "INSERT INTO bench.document VALUES (?)", body(random, size)); err != nil {
				return err
			}
		}
		return nil
	}}
}

// document is a list of orders as JSON, of size bytes or a little more, of which zstd leaves a quarter.
func document(random *rand.Rand, size int) []byte {
	cities := []string{"Antwerp", "Bologna", "Cardiff", "Dresden", "Espoo", "Fribourg", "Ghent", "Haarlem"}
	var b bytes.Buffer
	b.Grow(size + 200)
	for n := 1; b.Len() < size; n++ {
		fmt.Fprintf(&b, `{"order":%d,"customer":"%08x","sku":"%012x","city":"%s","price":%d.%02d,"paid":%t}`+"\n",
			n, random.Uint32(), random.Uint64()>>16, cities[random.IntN(len(cities))], random.IntN(500), random.IntN(100), random.IntN(2) == 0)
	}
	return b.Bytes()
}

// noise is size bytes that do not compress.
func noise(random *rand.Rand, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(random.Uint32())
	}
	return b
}
