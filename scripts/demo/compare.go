package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/scripts/internal/localstack"
)

// catchUp closes the source's newest file and waits until everything that was written is archived.
func (d *demo) catchUp(ctx context.Context, load *load) error {
	if err := d.source.Exec(ctx, "FLUSH BINARY LOGS"); err != nil {
		return err
	}
	began := time.Now()
	var last error
	_, err := d.await(ctx, "the archive to have all that the source has", func(view coord.TaskView) bool {
		file, size, err := d.end()
		last = err
		return err == nil && view.LastCommit.File == file && view.LastCommit.Position == size
	})
	if last != nil {
		return last
	}
	if err != nil {
		return err
	}
	d.story.tell("the clients have stopped, after %d transactions; all of them were in the archive %s later", load.Transactions(), round(time.Since(began)))
	return nil
}

// end is where the source's binlog ends: its newest file and that one's size.
func (d *demo) end() (file string, size int64, err error) {
	files, err := d.source.BinlogFiles()
	if err != nil {
		return "", 0, err
	}
	newest, err := os.Stat(files[len(files)-1])
	if err != nil {
		return "", 0, err
	}
	return newest.Name(), newest.Size(), nil
}

// compare verifies and exports the archive, and compares every closed file with the source's own; one of them also as
// zstd puts it together, without Binkeeper.
func (d *demo) compare(ctx context.Context, load *load) error {
	export := filepath.Join(d.stack.Dir, "export")
	d.story.tell("the archive is verified and exported")
	for _, args := range [][]string{{"archive", "verify", task}, {"archive", "export", task, "--output", export}} {
		done, err := d.stack.Binkeeper(ctx, args...)
		if err != nil {
			return err
		}
		d.story.show(done)
	}
	files, err := d.source.BinlogFiles()
	if err != nil {
		return err
	}
	closed := files[:len(files)-1] // catchUp has closed all but the newest
	var bytes int64
	for _, file := range closed {
		if _, err := localstack.Shell(ctx, `cmp "$1" "$2"`, file, filepath.Join(export, filepath.Base(file))); err != nil {
			return err
		}
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		bytes += info.Size()
	}
	d.story.tell("cmp finds no difference between the source's %d closed binlog files and the exported ones", len(closed))

	byHand := closed[len(closed)/2]
	segments := filepath.Join(d.stack.ArchiveDir(), task, "00000001", filepath.Base(byHand))
	equal, err := localstack.Shell(ctx, `zstd -dc "$1"/*.zst | cmp - "$2"`, segments, byHand)
	if err != nil {
		return err
	}
	d.story.tell("nor does it for one that zstd put together, without Binkeeper")
	d.story.show(equal)
	stored, err := storedBytes(d.stack.ArchiveDir())
	if err != nil {
		return err
	}
	d.story.tell("%d transactions, %d files, %s: every byte is there (%s stored)", load.Transactions(), len(closed), mebibytes(bytes), mebibytes(stored))
	return nil
}

// storedBytes is how large all files below dir are.
func storedBytes(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("size of %s: %w", entry.Name(), err)
		}
		total += info.Size()
		return nil
	})
	return total, err
}
