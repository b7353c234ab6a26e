package dump

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/mysqltest"
)

// TestArchivesTheSourcesBytes lets a source do what sources do, before and while an attempt
// runs: what is archived is what it has, byte for byte, and is committed.
func TestArchivesTheSourcesBytes(t *testing.T) {
	commits := func(s *mysqltest.Source, sizes ...int) {
		for _, size := range sizes {
			s.Commit(size)
		}
	}
	tests := []struct {
		name         string
		before, then func(s *mysqltest.Source)
		ends         bool // the attempt, and the next one goes on
	}{
		{"nothing", func(*mysqltest.Source) {}, func(*mysqltest.Source) {}, false},
		{"transactions", func(s *mysqltest.Source) { commits(s, 10, 2000, 30) }, func(s *mysqltest.Source) { commits(s, 10, 7, 12) }, false},
		{"rotation", func(s *mysqltest.Source) { commits(s, 10); s.Rotate(); commits(s, 20); s.Rotate() },
			func(s *mysqltest.Source) { s.Rotate(); s.Rotate(); commits(s, 20) }, false},
		{"an event larger than a segment", func(s *mysqltest.Source) { commits(s, 10, 3*segmentSize, 10) },
			func(s *mysqltest.Source) { commits(s, 10, 5*segmentSize, 10) }, false},
		{"an event of many packets", func(s *mysqltest.Source) { commits(s, 10) }, func(s *mysqltest.Source) { commits(s, 17<<20, 10) }, false},
		{"an open transaction", func(s *mysqltest.Source) { s.Begin(100) }, func(s *mysqltest.Source) { s.End(); s.Begin(2 * segmentSize); s.End() }, false},
		{"transactions without GTIDs", func(s *mysqltest.Source) { s.SetGTIDs(false); commits(s, 10, 20) }, func(s *mysqltest.Source) { commits(s, 30); s.Rotate() }, false},
		{"a restart", func(s *mysqltest.Source) { commits(s, 10, 20) }, func(s *mysqltest.Source) { commits(s, 10); s.Restart(); commits(s, 30) }, true},
		{"a crash that loses nothing", func(s *mysqltest.Source) { commits(s, 10, 20) }, func(s *mysqltest.Source) { s.Crash(0); commits(s, 30) }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			withSource(t, func(f *attemptFixture) {
				test.before(f.source)
				d := f.open()
				f.catchUp(d)
				test.then(f.source)
				if test.ends {
					if e := f.ending(d); e.Kind != EndedByTrouble || e.Reason != ReasonSource {
						f.Fatalf("the source was gone, and it ended with %+v", e)
					}
					d = f.open()
				}
				f.catchUp(d)
				f.stop(d)
				f.sameAsSource()
				f.committedAll()
			})
		})
	}
}

// TestExportAfterManyAttempts stops and begins again in the middle of files and of
// transactions: the files that an export writes are the source's.
func TestExportAfterManyAttempts(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		for n := range 12 {
			d := f.open()
			switch n % 4 {
			case 0:
				f.source.Commit(3000)
				f.source.Begin(40)
			case 1:
				f.source.End()
				f.source.Rotate()
			case 2:
				f.source.Commit(segmentSize)
			}
			f.catchUp(d)
			f.stop(d)
			f.committedAll()
		}
		dir := filepath.Join(f.TempDir(), "exported")
		if err := archive.New(f.folder, "orders").Export(f.Context(), dir, archive.Newest, nil); err != nil {
			f.Fatal(err)
		}
		for _, file := range f.source.Files() {
			got, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil || !bytes.Equal(got, f.source.File(file)) {
				f.Errorf("%s: %d bytes were exported, the source has %d (%v)", file, len(got), len(f.source.File(file)), err)
			}
		}
		if end := f.end(); end.Timeline != 1 {
			f.Errorf("the archive is on timeline %d", end.Timeline)
		}
	})
}

// A segment is stored when it is as old as it may be, and not before.
func TestFlushByAge(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		d := f.open()
		f.catchUp(d)
		before := f.end().Offset
		f.source.Commit(100)
		time.Sleep(flushInterval - time.Second)
		f.source.Commit(100) // makes the segment no younger
		time.Sleep(time.Second - time.Millisecond)
		if got := f.end().Offset; got != before {
			f.Errorf("the archive has come from %d to %d before the flush interval is over", before, got)
		}
		time.Sleep(2 * time.Millisecond)
		if got, want := f.end().Offset, int64(len(f.source.File("mysql-bin.000001"))); got != want {
			f.Errorf("the archive ends in %d when the flush interval is over, want %d", got, want)
		}
		f.stop(d)
	})
}

// A segment is stored as soon as it is as large as it may be.
func TestFlushBySize(t *testing.T) {
	withSource(t, func(f *attemptFixture) {
		d := f.open()
		f.catchUp(d)
		began := time.Now()
		segments := d.Progress().Flow().Segments
		const commits, size = 30, 10000
		for range commits {
			f.source.Commit(size)
		}
		time.Sleep(time.Millisecond)
		want := int64(commits * size / (segmentSize + size))
		if got := d.Progress().Flow().Segments - segments; got < want || got > want+1 {
			f.Errorf("%d segments are stored at once, want %d", got, want)
		}
		files, err := archive.New(f.folder, "orders").Files(f.Context(), archive.Newest)
		if err != nil || len(files) != 1 || time.Since(began) >= flushInterval {
			f.Errorf("%+v, %v", files, err)
		}
		f.stop(d)
		f.sameAsSource()
	})
}
