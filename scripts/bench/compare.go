package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"binkeeper/archive"
)

// overTLS compares again, with both sides over TLS.
func (s *scene) overTLS(ctx context.Context) error {
	for _, r := range []recipe{s.smallRecipe(), s.bulkRecipe()} {
		b, err := s.backlog(ctx, r)
		if err != nil {
			return err
		}
		got, err := alternate(ctx, s.runs, s.worker(b, tlsQuery), b.mysqlbinlog("REQUIRED", s.out()))
		if err != nil {
			return err
		}
		s.report.ratio(b.what()+"catching up over TLS", seconds(got[0].took()), "mysqlbinlog --raw over TLS "+seconds(got[1].took()), over(got[1].took(), got[0].took()), 0)
	}
	return nil
}

// theLibrary compares with the helper of the library that worker/source takes its handshake from.
func (s *scene) theLibrary(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program := filepath.Join(filepath.Dir(self), "library") // make bench builds both into one folder
	for _, r := range []recipe{s.smallRecipe(), s.bulkRecipe()} {
		b, err := s.backlog(ctx, r)
		if err != nil {
			return err
		}
		got, err := alternate(ctx, s.runs, s.worker(b, plainQuery), b.library(program, s.out()))
		if err != nil {
			return err
		}
		s.report.ratio(b.what()+"catching up", seconds(got[0].took()), "go-mysql's StartBackup "+seconds(got[1].took()), over(got[1].took(), got[0].took()), 0)
		s.report.ratio(b.what()+"CPU", seconds(got[0].cpu()), "go-mysql's StartBackup "+seconds(got[1].cpu()), over(got[1].cpu(), got[0].cpu()), 0)
	}
	return nil
}

// limits measures what bounds the bulk row: the rate at which one core compresses, and that at which the disk takes
// what comes of it.
func (s *scene) limits(ctx context.Context, b *backlog, took time.Duration) error {
	raw, err := os.ReadFile(b.dataPath(b.first()))
	if err != nil {
		return err
	}
	const segment = 8 << 20
	c, stored := archive.NewCompressor(), int64(0)
	var frames []byte
	began := time.Now()
	for at := 0; at < len(raw); at += segment {
		frames = c.Compress(frames[:0], raw[at:min(at+segment, len(raw))])
		stored += int64(len(frames))
	}
	compress := time.Since(began)
	disk, err := s.diskRate(ctx, stored)
	if err != nil {
		return err
	}
	share := float64(stored) / float64(len(raw))
	s.report.plain(b.what()+"one core compresses, alone", rate(int64(len(raw)), compress), fmt.Sprintf("to %.0f %%", 100*share))
	s.report.plain(b.what()+"the disk takes (dd conv=fsync)", fmt.Sprintf("%.0f MB/s of stored bytes", disk/1e6), fmt.Sprintf("%.0f MB/s of raw ones", disk/share/1e6))
	limit := "compression"
	if disk/share < 2*float64(len(raw))/compress.Seconds() {
		limit = "the disk"
	}
	s.report.plain(b.what()+"the worker archives", rate(b.bytes, took), "limited by "+limit)
	return nil
}

// diskRate is how many bytes a second dd writes durably, of size bytes that do not compress.
func (s *scene) diskRate(ctx context.Context, size int64) (float64, error) {
	file := filepath.Join(s.stack.Dir, "dd")
	defer os.Remove(file)
	got, err := alternate(ctx, 3, process(func(ctx context.Context) (*exec.Cmd, error) {
		return exec.CommandContext(ctx, "dd", "if=/dev/zero", "of="+file, "bs=1M", fmt.Sprintf("count=%d", size>>20+1), "conv=fsync"), nil
	}, ""))
	if err != nil {
		return 0, err
	}
	return float64(size>>20+1) * (1 << 20) / got[0].took().Seconds(), nil
}

// reading compares export and verify with the zstd command, on the archive of the bulk backlog.
func (s *scene) reading(ctx context.Context) error {
	b, err := s.backlog(ctx, s.bulkRecipe())
	if err != nil {
		return err
	}
	stored, export := filepath.Join(s.stack.Dir, "stored"), filepath.Join(s.stack.Dir, "export")
	defer os.RemoveAll(stored)
	defer os.RemoveAll(export)
	id, err := s.fillArchive(ctx, b, stored)
	if err != nil {
		return err
	}
	ours := func(verb string, flags ...string) contender {
		return process(func(ctx context.Context) (*exec.Cmd, error) {
			if err := os.RemoveAll(export); err != nil {
				return nil, err
			}
			args := append([]string{"archive", verb, id, "--archive", "file://" + stored}, flags...)
			return exec.CommandContext(ctx, filepath.Join(s.programs, "binkeeper"), args...), nil
		}, "")
	}
	tool := func(script string) contender {
		return process(func(ctx context.Context) (*exec.Cmd, error) {
			return exec.CommandContext(ctx, "sh", "-c", script, "sh", filepath.Join(stored, id, "00000001"), s.out()), nil
		}, s.out())
	}
	got, err := alternate(ctx, s.runs,
		ours("export", "--output", export), tool(`cd "$1" && for f in mysql-bin.*; do zstd -q -dc "$f"/*.zst >"$2/$f"; done && sync "$2"/*`),
		ours("verify"), tool(`zstd -q -t "$1"/*/*.zst`))
	if err != nil {
		return err
	}
	s.report.ratio("export", seconds(got[0].took()), "zstd -dc; sync "+seconds(got[1].took()), over(got[1].took(), got[0].took()), 0.8)
	s.report.ratio("verify", seconds(got[2].took()), "zstd -t "+seconds(got[3].took()), over(got[3].took(), got[2].took()), 0.8)
	return nil
}

// fillArchive archives the backlog into dir, and returns the task's id.
func (s *scene) fillArchive(ctx context.Context, b *backlog, dir string) (id string, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if id, err = s.createTask(ctx, b.source.URL()+plainQuery, dir); err != nil {
		return "", err
	}
	w, err := s.startWorker(ctx, "filling", id)
	if err != nil {
		return "", err
	}
	defer w.Close()
	if err := s.awaitNewest(ctx, id, b); err != nil {
		return "", err
	}
	return id, w.Stop()
}
