//go:build integration

package main

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
)

// compare closes the source's newest file, waits until all of it is archived, and compares every byte of the closed
// files with the archive's; it verifies the archive, its segments and the history of lastCommit too.
func (s *stage) compare() {
	s.t.Helper()
	s.compareArchive()
	s.checkHistory()
}

// compareArchive is compare without the history.
func (s *stage) compareArchive() {
	s.t.Helper()
	files := s.awaitClosed()
	arch := archive.New(s.store(), task)
	out := filepath.Join(s.t.TempDir(), "export")
	defer os.RemoveAll(out)
	if err := arch.Export(s.t.Context(), out, archive.Newest, nil); err != nil {
		s.t.Fatal(err)
	}
	var total int
	for _, file := range files {
		total += s.compareFile(file, filepath.Join(out, filepath.Base(file)))
	}
	report, err := arch.Verify(s.t.Context(), nil)
	if err != nil || !report.OK || len(report.Problems) > 0 || report.Bytes < int64(total) {
		s.t.Errorf("verify: %+v, %v", report, err)
	}
	terms := s.checkSegments()
	s.t.Logf("%d files and %d bytes are equal; segments of %d terms", len(files), total, terms)
}

// awaitClosed closes the source's newest file, waits until all that is closed is archived, in the newest timeline, and
// returns those files. A file of that name may stand in the checkpoint already, from the timeline before.
func (s *stage) awaitClosed() []string {
	s.t.Helper()
	must(s.t, s.src.Exec(s.t.Context(), "FLUSH BINARY LOGS"))
	files := s.binlogFiles()
	live := filepath.Base(files[len(files)-1])
	arch := archive.New(s.store(), task)
	s.await("the archive of "+live, func(v view) bool {
		timelines, err := arch.Timelines(s.t.Context())
		must(s.t, err)
		return v.LastCommit.File == live && v.LastCommit.Timeline == int64(len(timelines))
	})
	return files[:len(files)-1]
}

// wholeEvents is what a binlog file holds up to its last whole event. MariaDB leaves a crash's torn end as it is, and can
// send it to nobody.
func wholeEvents(t *testing.T, file []byte) []byte {
	t.Helper()
	const magic, header, size = 4, 19, 9
	end := magic
	for end+header <= len(file) {
		next := end + int(binary.LittleEndian.Uint32(file[end+size:]))
		if next < end+header || next > len(file) {
			break
		}
		end = next
	}
	if end < len(file) {
		t.Logf("a crash has left %d bytes of a torn event behind %d", len(file)-end, end)
	}
	return file[:min(end, len(file))]
}

// compareFile returns the size of a file of the source's. A crash leaves the flag that the file is in use on the disk,
// in the first byte of the flags of its first event; a dump clears it.
func (s *stage) compareFile(source, exported string) int {
	s.t.Helper()
	const flags, inUse = 4 + 17, 1
	want, got := read(s.t, source), read(s.t, exported)
	if len(want) > flags && want[flags]&inUse != 0 {
		s.t.Logf("%s was left in use by a crash", filepath.Base(source))
		want[flags] &^= inUse
	}
	if s.src.Kind().IsMariaDB() {
		want = wholeEvents(s.t, want)
	}
	if !bytes.Equal(got, want) {
		at := 0
		for at < min(len(got), len(want)) && got[at] == want[at] {
			at++
		}
		s.t.Errorf("%s: the archive's %d bytes differ from the source's %d, first at %d", filepath.Base(source), len(got), len(want), at)
	}
	return len(want)
}

func (s *stage) binlogFiles() []string {
	s.t.Helper()
	files, err := s.src.BinlogFiles()
	if err != nil {
		s.t.Fatal(err)
	}
	return files
}

func (s *stage) store() *dirstore.Store {
	s.t.Helper()
	store, err := dirstore.Open(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	return store
}

// segments reads the metadata of every segment, in the order of the chain.
func (s *stage) segments() []archive.Meta {
	s.t.Helper()
	objects, err := filepath.Glob(filepath.Join(s.dir, task, "????????", "*.*", "*.zst"))
	if err != nil {
		s.t.Fatal(err)
	}
	store := s.store()
	var metas []archive.Meta
	for _, object := range objects {
		name, err := filepath.Rel(s.dir, object)
		if err != nil {
			s.t.Fatal(err)
		}
		meta, _, err := archive.ReadMeta(s.t.Context(), store, name)
		if err != nil {
			s.t.Fatal(err)
		}
		metas = append(metas, meta)
	}
	slices.SortFunc(metas, func(a, b archive.Meta) int {
		return cmp.Or(cmp.Compare(a.Timeline, b.Timeline), cmp.Compare(fileNumber(s.t, a.File), fileNumber(s.t, b.File)), cmp.Compare(a.Start, b.Start))
	})
	return metas
}

func fileNumber(t *testing.T, file string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(file[strings.LastIndexByte(file, '.')+1:], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkSegments wants the terms to grow along the chain, each of one worker, and returns their number.
func (s *stage) checkSegments() int {
	s.t.Helper()
	workers := map[int64]string{}
	var before archive.Meta
	for _, m := range s.segments() {
		if m.Term < before.Term {
			s.t.Errorf("%s:%d is of term %d, behind one of term %d", m.File, m.Start, m.Term, before.Term)
		}
		if who, ok := workers[m.Term]; ok && who != m.ServerID {
			s.t.Errorf("%s:%d is of worker %s, in term %d of worker %s", m.File, m.Start, m.ServerID, m.Term, who)
		}
		workers[m.Term], before = m.ServerID, m
	}
	return len(workers)
}

// storedBytes is how many bytes of binlog the archive has.
func (s *stage) storedBytes() (total int64) {
	s.t.Helper()
	for _, m := range s.segments() {
		total += m.End - m.Start
	}
	return total
}

// awaitArchive waits until the archive has as many bytes as wanted, without ZooKeeper.
func (s *stage) awaitArchive(what string, wanted func(bytes int64) bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !wanted(s.storedBytes()); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s have not come within %s", what, patience)
		}
	}
}
