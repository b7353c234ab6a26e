package dirstore

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"time"

	"binkeeper/archive"
)

// leftoverAge is how old a temporary file or a probe must be to be a dead writer's. A
// put takes seconds; a writer that hangs for longer finds its file gone, and fails.
const leftoverAge = 24 * time.Hour

// Sweep implements archive.Store. Folders whose names begin with a dot, such as a
// server's snapshots, are left alone, and so are links.
func (s *Store) Sweep(ctx context.Context, dir string) (removed int, err error) {
	if err := s.begin(ctx, "sweep", dir); err != nil {
		return 0, err
	}
	err = fs.WalkDir(s.root.FS(), dir, func(name string, entry fs.DirEntry, err error) error {
		if canceled := ctx.Err(); canceled != nil {
			return canceled
		}
		switch {
		case isNotExist(err):
			return nil // gone meanwhile
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && name != dir:
			return fs.SkipDir
		}
		isProbe := path.Dir(name) == dir && archive.IsProbe(entry.Name())
		if !entry.Type().IsRegular() || !isProbe && !strings.HasPrefix(entry.Name(), archive.TempPrefix) {
			return nil
		}
		info, err := s.root.Lstat(name)
		if err != nil || time.Since(info.ModTime()) < leftoverAge {
			return nil // its writer lives, or has just removed it
		}
		if err := s.root.Remove(name); err != nil {
			return err
		}
		removed++
		return nil
	})
	if err != nil && errors.Is(err, ctx.Err()) {
		return removed, err
	}
	return removed, s.fail("sweep", dir, err)
}
