package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"binkeeper/internal/history"
)

// A comparison is what was found of one archive, exported with all its timelines, beside its source.
type comparison struct {
	files       int
	bytes       int64
	differences []string
}

func (c *comparison) differ(format string, args ...any) {
	c.differences = append(c.differences, fmt.Sprintf(format, args...))
}

// compare compares every exported file with the source's own, byte for byte. exported has a folder for each timeline.
// histories are the binlog files of each history of the source, which has kept them all, in order; the last one is that
// which it has now. A timeline holds one history, or the beginning of it, and the next one a later history: here nothing
// but a reset begins a timeline. The last timeline holds all of the last history, and each one all that was committed of
// it: reached says up to where, by the timeline's number.
func compare(exported string, histories [][]string, reached map[int64]history.Place) (comparison, error) {
	var all comparison
	timelines, err := os.ReadDir(exported)
	if err != nil {
		return all, err
	}
	if len(timelines) == 0 {
		all.differ("%s has no timeline", exported)
	}
	first := 0 // the first history that the timeline may hold
	for n, timeline := range timelines {
		var best comparison
		at, last := first, n == len(timelines)-1
		if last {
			first = max(first, len(histories)-1)
		}
		for h := first; h < len(histories); h++ {
			c, err := compareTimeline(filepath.Join(exported, timeline.Name()), histories[h], last)
			if err != nil {
				return all, err
			}
			if h == first || c.better(best) {
				best, at = c, h
			}
		}
		if first >= len(histories) {
			best.differ("timeline %s holds no history of the source of its own: it has had %d, and the timeline before holds the last one", timeline.Name(), len(histories))
		}
		all.files, all.bytes = all.files+best.files, all.bytes+best.bytes
		all.differences = append(all.differences, best.differences...)
		first = at + 1
	}
	return all, all.compareReach(exported, reached)
}

// compareReach wants each exported timeline to reach what was committed of it.
func (c *comparison) compareReach(exported string, reached map[int64]history.Place) error {
	for _, timeline := range slices.Sorted(maps.Keys(reached)) {
		place := reached[timeline]
		path := filepath.Join(exported, fmt.Sprintf("%08d", timeline), place.File)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			c.differ("%s is not there, and was committed up to %d", path, place.Position)
		case err != nil:
			return err
		case info.Size() < place.Position:
			c.differ("%s ends at %d, and was committed up to %d", path, info.Size(), place.Position)
		}
	}
	return nil
}

// better reports whether c is more likely than other to be of the history that was archived.
func (c comparison) better(other comparison) bool {
	if len(c.differences) != len(other.differences) {
		return len(c.differences) < len(other.differences)
	}
	return c.bytes > other.bytes
}

// compareTimeline compares the exported files of a timeline with a history: all of it, or its beginning only.
func compareTimeline(dir string, history []string, whole bool) (comparison, error) {
	var c comparison
	files, err := os.ReadDir(dir)
	if err != nil {
		return c, err
	}
	if len(files) == 0 {
		c.differ("%s holds no file", dir)
	}
	for n, file := range files {
		exported := filepath.Join(dir, file.Name())
		if n >= len(history) || file.Name() != filepath.Base(history[n]) {
			c.differ("%s is not the source's file number %d of %d", exported, n+1, len(history))
			return c, nil
		}
		same, end, err := compareFiles(exported, history[n])
		if err != nil {
			return c, err
		}
		c.files++
		c.bytes += same
		early := end == archiveEnds && !whole && n == len(files)-1
		if end != equal && end != archiveEndsTorn && !early {
			c.differ("%s: %s at %d", exported, end, same)
		}
	}
	for n := len(files); whole && n < len(history); n++ {
		c.differ("%s is not in %s", filepath.Base(history[n]), dir)
	}
	return c, nil
}

// The ends of a comparison of two files.
const (
	equal           = "equal"
	differs         = "the archive differs from the source"
	archiveEnds     = "the archive ends, and the source goes on"
	archiveEndsTorn = "the archive ends, and the source goes on with a part of an event"
	sourceEnds      = "the source ends, and the archive goes on"
)

// A crash leaves the flag that a file is in use on the disk, in the first byte of the flags of its first event; a dump
// clears it.
const (
	flagsAt = 4 + 17
	inUse   = 1
)

// compareFiles returns how many bytes are equal, and how it ends.
func compareFiles(archived, source string) (n int64, end string, err error) {
	a, err := os.Open(archived)
	if err != nil {
		return 0, "", err
	}
	defer a.Close()
	s, err := os.Open(source)
	if err != nil {
		return 0, "", err
	}
	defer s.Close()
	const size = 1 << 20
	in, of := make([]byte, size), make([]byte, size)
	for {
		got, err := read(a, in)
		if err != nil {
			return n, "", err
		}
		want, err := read(s, of)
		if err != nil {
			return n, "", err
		}
		if n == 0 && len(want) > flagsAt {
			want[flagsAt] &^= inUse
		}
		same := prefix(got, want)
		n += int64(same)
		switch {
		case same < min(len(got), len(want)):
			return n, differs, nil
		case len(got) > len(want):
			return n, sourceEnds, nil
		case len(got) < len(want):
			end, err := restOf(s, n)
			return n, end, err
		case len(got) < size:
			return n, equal, nil
		}
	}
}

// read fills buffer as far as the file goes.
func read(file *os.File, buffer []byte) ([]byte, error) {
	n, err := io.ReadFull(file, buffer)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return buffer[:n], err
}

// prefix is how many bytes a and b begin with in common.
func prefix(a, b []byte) int {
	n := min(len(a), len(b))
	if bytes.Equal(a[:n], b[:n]) {
		return n
	}
	for n = 0; a[n] == b[n]; n++ {
	}
	return n
}

// restOf says how the source's file goes on where the archive ends. MariaDB leaves a part of an event where kill -9 struck
// it in the middle of one, goes on with the next file, and no reader gets to see that part.
func restOf(source *os.File, at int64) (string, error) {
	const magic, header, sizeAt = 4, 19, 9 // of a file, and of an event
	info, err := source.Stat()
	if err != nil {
		return "", err
	}
	event := make([]byte, header)
	for begin := int64(magic); begin <= at; {
		rest := info.Size() - begin
		if rest < header {
			return tornIf(begin == at), nil
		}
		if _, err := source.ReadAt(event, begin); err != nil {
			return "", err
		}
		size := int64(binary.LittleEndian.Uint32(event[sizeAt:]))
		if size < header || size > rest {
			return tornIf(begin == at && size >= header), nil
		}
		begin += size
	}
	return archiveEnds, nil
}

func tornIf(torn bool) string {
	if torn {
		return archiveEndsTorn
	}
	return archiveEnds
}
