package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"binkeeper/archive"
	"binkeeper/archive/storetest"
)

// checkExport exports and compares with what was appended.
func (b *builder) checkExport(which int64) {
	b.t.Helper()
	dir := filepath.Join(b.t.TempDir(), "new", "folder")
	var last archive.Progress
	if err := b.Export(b.t.Context(), dir, which, func(p archive.Progress) { last = p }); err != nil {
		b.t.Fatal(err)
	}
	want := map[string][]byte{}
	total := int64(0)
	for key, content := range b.want {
		timeline, name, _ := strings.Cut(key, "/")
		if which == archive.All {
			name = key
		} else if n := max(which, 1); which == archive.Newest && timeline != fmt.Sprintf("%08d", b.end.Timeline) ||
			which > 0 && timeline != fmt.Sprintf("%08d", n) {
			continue
		}
		want[name] = content
		total += int64(len(content))
	}
	got := exported(b.t, dir)
	if !maps.EqualFunc(got, want, bytes.Equal) {
		b.t.Errorf("export of %d: got %v, want %v", which, sizes(got), sizes(want))
	}
	if last.Bytes != total || last.Files != len(want) {
		b.t.Errorf("export of %d: progress ended at %+v, want %d files, %d bytes", which, last, len(want), total)
	}
}

// exported returns the files in dir by their paths.
func exported(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		files[rel], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sizes(files map[string][]byte) string {
	var s []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		s = append(s, fmt.Sprintf("%s:%d", name, len(files[name])))
	}
	return strings.Join(s, " ")
}

func TestExport(t *testing.T) {
	b := sample(t)
	for _, which := range []int64{archive.Newest, archive.All, 1, 2} {
		b.checkExport(which)
	}
	if err := b.Export(t.Context(), t.TempDir(), 3, nil); !errors.Is(err, archive.ErrNoTimeline) {
		t.Errorf("timeline 3: got %v, want ErrNoTimeline", err)
	}
	b.close()
	b.timeline(file(1))
	b.checkExport(archive.Newest) // no file at all
	b.rotate(10, file(2))
	b.close() // the second file has a closing segment only
	b.checkExport(archive.Newest)
}

func TestExportBig(t *testing.T) {
	b := newBuilder(t)
	b.data(5<<20, 1, 3<<20)
	b.rotate(1<<20, file(2))
	b.data(9)
	b.checkExport(archive.Newest)
}

func TestExportIntoUsedFolder(t *testing.T) {
	b := sample(t)
	dir := t.TempDir()
	b.write(filepath.Join(dir, "kept"), []byte("kept"))
	used := (*archive.NotEmptyError)(nil)
	if err := b.Export(t.Context(), dir, archive.Newest, nil); !errors.As(err, &used) || used.Hint() == "" {
		t.Errorf("got %v, want *NotEmptyError", err)
	}
	if got := sizes(exported(t, dir)); got != "kept:4" {
		t.Errorf("got %s in the folder, want what was there", got)
	}
	if err := b.Export(t.Context(), filepath.Join(dir, "kept"), archive.Newest, nil); err == nil {
		t.Error("an export onto a file succeeded")
	}
}

func TestFiles(t *testing.T) {
	b := sample(t)
	files, err := b.Files(t.Context(), archive.All)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		stored := int64(0)
		paths, _ := filepath.Glob(filepath.Dir(b.path(f.Timeline, f.File, 0)) + "/*")
		for _, path := range paths {
			stored += int64(len(b.read(path)))
		}
		if f.StoredBytes != stored || f.FirstEventTime == nil || f.LastEventTime.Before(*f.FirstEventTime) || f.Sealed || f.Start != 0 {
			t.Errorf("got %+v, want %d stored bytes", f, stored)
		}
		got = append(got, fmt.Sprintf("%d %s %d in %d, %t, %s", f.Timeline, f.File, f.End, f.Segments, f.Complete, strings.TrimPrefix(f.GTIDSet, uuid)))
	}
	want := []string{
		"1 mysql-bin.000001 350 in 3, true, :1-3",
		"1 mysql-bin.000002 300 in 2, true, :4",
		"1 mysql-bin.000003 60 in 4, false, :5-7",
		"2 mysql-bin.000001 70 in 1, true, :8",
		"2 mysql-bin.000002 170 in 2, false, :9-10",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if files, err := b.Files(t.Context(), archive.Newest); err != nil || len(files) != 2 {
		t.Errorf("newest: got %d files, %v, want 2", len(files), err)
	}
	b.remove(b.path(2, file(2), 0))
	hole := (*archive.HoleError)(nil)
	if files, err := b.Files(t.Context(), archive.Newest); !errors.As(err, &hole) || len(files) != 1 {
		t.Errorf("with a hole: got %d files, %v, want 1 and *HoleError", len(files), err)
	}
}

func TestOpenFile(t *testing.T) {
	b := sample(t)
	for key, want := range b.want {
		var timeline int64
		fmt.Sscanf(key, "%d/", &timeline)
		r, err := b.Open(t.Context(), timeline, base(key))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %d bytes, %v, want %d", key, len(got), err, len(want))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{file(3), file(4), "x", "../" + file(1)} {
		if _, err := b.Open(t.Context(), archive.Newest, name); !errors.Is(err, archive.ErrNotExist) {
			t.Errorf("%s: got %v, want ErrNotExist", name, err)
		}
	}
	b.remove(b.path(1, file(1), 100))
	r, err := b.Open(t.Context(), 1, file(1))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if hole := (*archive.HoleError)(nil); !errors.As(err, &hole) || !bytes.Equal(got, b.want["00000001/"+file(1)][:100]) {
		t.Errorf("with a hole: got %d bytes, %v, want 100 and *HoleError", len(got), err)
	}
}

// TestReadStoreFaults checks that a store that fails is never said to hold damaged
// bytes, nor to be empty.
func TestReadStoreFaults(t *testing.T) {
	b := sample(t)
	check := func(what string, inject func(*storetest.Faulty)) {
		t.Helper()
		for _, read := range []struct {
			name string
			run  func(a *archive.Archive) error
		}{
			{"export", func(a *archive.Archive) error {
				return a.Export(t.Context(), t.TempDir(), archive.Newest, nil)
			}},
			{"verify", func(a *archive.Archive) error { _, err := a.Verify(t.Context(), nil); return err }},
		} {
			faulty := storetest.NewFaulty(t, b.store)
			inject(faulty)
			if err := read.run(archive.New(faulty, task)); !errors.Is(err, storetest.ErrInjected) {
				t.Errorf("%s, %s: got %v, want the store's error", read.name, what, err)
			}
		}
	}
	for n := 1; n <= 8; n++ {
		check(fmt.Sprintf("Open %d", n), func(f *storetest.Faulty) { f.FailOpen(n, nil) })
		check(fmt.Sprintf("Read %d", n), func(f *storetest.Faulty) { f.FailRead(n, nil) })
	}
	check("List 3", func(f *storetest.Faulty) { f.FailList(3, nil) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Verify(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v", err)
	}
}

// TestExportWhileWriting exports again and again while a writer works: each
// export must be a prefix, and no hole may be seen.
func TestExportWhileWriting(t *testing.T) {
	b := newBuilder(t)
	b.data(10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		end := b.end
		for n := range 60 {
			seg := b.segment(end, 100)
			if n%5 == 4 {
				seg.Meta.EndsFile, seg.Meta.NextFile = true, file(2+n/5)
			}
			var err error
			if end, err = b.Append(context.Background(), end, seg); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		dir := t.TempDir()
		if err := b.Export(t.Context(), dir, archive.Newest, nil); err != nil {
			t.Errorf("export: %v", err)
		}
		for name, got := range exported(t, dir) {
			if !bytes.Equal(got, content(name, 0, int64(len(got)))) {
				t.Errorf("export wrote other bytes to %s", name)
			}
		}
		if report, err := b.Verify(t.Context(), nil); err != nil || !report.OK {
			t.Errorf("verify: got %+v, %v", report, err)
		}
	}
}
