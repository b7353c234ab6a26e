package archive_test

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"binkeeper/archive"
)

// TestDamage damages an archive and says what an export of all timelines and a
// verification must find. Nothing that is exported may differ from what was
// archived.
func TestDamage(t *testing.T) {
	flip := func(at int) func(b *builder) {
		return func(b *builder) {
			name := b.path(1, file(2), 0)
			content := b.read(name)
			content[(at+len(content))%len(content)] ^= 0x10
			b.write(name, content)
		}
	}
	cut := func(left int) func(b *builder) {
		return func(b *builder) {
			name := b.path(1, file(2), 0)
			content := b.read(name)
			b.write(name, content[:(left+len(content))%len(content)])
		}
	}
	const mismatch, hole, fine = "mismatch", "hole", "fine"
	tests := []struct {
		name           string
		damage         func(b *builder)
		export, verify string
	}{
		{"none", func(*builder) {}, fine, fine},
		{"flip in magic", flip(0), mismatch, mismatch},
		{"flip in length", flip(6), mismatch, mismatch},
		{"flip in metadata", flip(20), mismatch, mismatch},
		{"number in metadata", func(b *builder) { b.damage(b.path(1, file(2), 0), `"events":3`, `"events":7`) }, mismatch, mismatch},
		{"GTID in metadata", func(b *builder) { b.damage(b.path(1, file(2), 0), uuid+":4", uuid+":5") }, mismatch, mismatch},
		{"overlap in metadata", func(b *builder) { b.damage(b.path(2, file(2), 80), `"overlap_start":80`, `"overlap_start":81`) }, mismatch, mismatch},
		{"flip in frames", flip(-150), mismatch, mismatch},
		{"flip in checksum", flip(-1), mismatch, mismatch},
		{"cut to nothing", cut(0), mismatch, mismatch},
		{"cut in header", cut(5), mismatch, mismatch},
		{"cut in metadata", cut(100), mismatch, mismatch},
		{"cut in frames", cut(-10), mismatch, mismatch},
		{"frames gone", func(b *builder) {
			name := b.path(1, file(2), 0)
			b.write(name, b.read(name)[:len(b.read(name))-len(b.segment(b.end, 300).Frames)])
		}, mismatch, mismatch},
		{"frames twice", func(b *builder) {
			name := b.path(1, file(2), 0)
			b.write(name, append(b.read(name), compressor.Compress(nil, []byte("more"))...))
		}, mismatch, mismatch},
		{"frames of others", func(b *builder) {
			name := b.path(1, file(2), 0)
			content := b.read(name)
			other := compressor.Compress(nil, content[:300])
			b.write(name, append(content[:len(content)-len(compressor.Compress(nil, b.want["00000001/"+file(2)]))], other...))
		}, mismatch, mismatch},
		{"data in an empty segment", func(b *builder) {
			name := b.path(1, file(2), 300)
			b.write(name, append(b.read(name), compressor.Compress(nil, []byte("more"))...))
		}, mismatch, mismatch},
		{"segment lost", func(b *builder) { b.remove(b.path(1, file(1), 100)) }, hole, hole},
		{"first segment lost", func(b *builder) { b.remove(b.path(1, file(2), 0)) }, hole, hole},
		{"end of file lost", func(b *builder) { b.remove(b.path(1, file(2), 300)) }, hole, hole},
		{"file lost", func(b *builder) { b.remove(filepath.Dir(b.path(1, file(2), 0))) }, hole, hole},
		{"closing segment lost", func(b *builder) { b.remove(b.path(1, file(3), 60)) }, hole, hole},
		{"all of a timeline's segments lost", func(b *builder) {
			for n := 1; n <= 3; n++ {
				b.remove(filepath.Dir(b.path(1, file(n), 0)))
			}
		}, hole, hole},
		{"last segment of the newest lost", func(b *builder) { b.remove(b.path(2, file(2), 80)) }, fine, fine},
		{"renamed", func(b *builder) { b.rename(b.path(1, file(1), 100), b.path(1, file(1), 101)) }, hole, hole},
		{"renamed away", func(b *builder) { b.rename(b.path(1, file(1), 100), b.path(1, file(1), 100)+".old") }, hole, hole},
		{"swapped", func(b *builder) {
			x, y := b.path(1, file(3), 0), b.path(1, file(3), 10)
			first, second := b.read(x), b.read(y)
			b.write(x, second)
			b.write(y, first)
		}, mismatch, mismatch},
		{"copied within the chain", func(b *builder) { b.write(b.path(1, file(1), 150), b.read(b.path(1, file(1), 100))) }, fine, mismatch},
		{"copied behind a file's end", func(b *builder) { b.write(b.path(1, file(1), 999), b.read(b.path(1, file(1), 100))) }, fine, mismatch},
		{"copied behind a timeline's end", func(b *builder) { b.write(b.path(1, file(9), 0), b.read(b.path(1, file(1), 0))) }, fine, mismatch},
		{"copied behind the archive's end", func(b *builder) { b.write(b.path(2, file(2), 999), b.read(b.path(2, file(2), 80))) }, hole, hole},
		{"segment of another file", func(b *builder) { b.write(b.path(1, file(2), 0), b.read(b.path(1, file(1), 0))) }, mismatch, mismatch},
		{"segment of the other timeline", func(b *builder) { b.write(b.path(2, file(1), 0), b.read(b.path(1, file(1), 0))) }, mismatch, mismatch},
		{"task.json lost", func(b *builder) { b.remove(b.dir + "/orders/task.json") }, fine, hole},
		{"timeline.json lost", func(b *builder) { b.remove(b.dir + "/orders/00000001/timeline.json") }, fine, hole},
		{"timeline.json damaged", func(b *builder) { b.write(b.dir+"/orders/00000002/timeline.json", []byte("{")) }, mismatch, mismatch},
		{"timeline.json of elsewhere", func(b *builder) {
			b.edit(b.dir+"/orders/00000002/timeline.json", `"position":60`, `"position":61`)
		}, fine, mismatch},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := sample(t)
			test.damage(b)
			dir := t.TempDir()
			err := b.Export(t.Context(), dir, archive.All, nil)
			if got := kindOf(err); got != test.export {
				t.Errorf("export: got %s (%v), want %s", got, err, test.export)
			}
			for name, got := range exported(t, dir) {
				if !bytes.HasPrefix(b.want[name], got) {
					t.Errorf("export wrote %s, %d bytes, other than what was archived", name, len(got))
				}
				if err == nil && strings.HasPrefix(name, "00000001/") && !bytes.Equal(b.want[name], got) {
					t.Errorf("export wrote a part of %s and said nothing", name)
				}
			}
			report, err := b.Verify(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := kindOf(report.Err()); got != test.verify || report.OK != (test.verify == fine) {
				t.Errorf("verify: got %s (%+v), want %s", got, report, test.verify)
			}
			for _, p := range report.Problems {
				if p.Object == "" || p.Problem == "" {
					t.Errorf("problem without words: %+v", p)
				}
			}
		})
	}
}

func kindOf(err error) string {
	mismatch, hole := (*archive.MismatchError)(nil), (*archive.HoleError)(nil)
	switch {
	case err == nil:
		return "fine"
	case errors.As(err, &mismatch):
		return "mismatch"
	case errors.As(err, &hole):
		return "hole"
	}
	return err.Error()
}

// TestExportHole says what is left of an export up to a hole.
func TestExportHole(t *testing.T) {
	b := sample(t)
	b.remove(b.path(1, file(1), 300))
	dir := t.TempDir()
	if got := kindOf(b.Export(t.Context(), dir, 1, nil)); got != "hole" {
		t.Fatalf("got %s", got)
	}
	if got, want := sizes(exported(t, dir)), "mysql-bin.000001:300"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestExportMismatch says what is left of an export up to a damaged segment.
func TestExportMismatch(t *testing.T) {
	b := sample(t)
	b.write(b.path(1, file(3), 10), nil)
	dir := t.TempDir()
	if got := kindOf(b.Export(t.Context(), dir, 1, nil)); got != "mismatch" {
		t.Fatalf("got %s", got)
	}
	if got, want := sizes(exported(t, dir)), "mysql-bin.000001:350 mysql-bin.000002:300"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestDamageUnderAReader damages a segment while an export, and a reader of its file, are on their way to it: what they
// give is right, or nothing.
func TestDamageUnderAReader(t *testing.T) {
	tests := []struct {
		name   string
		damage func(b *builder, object string)
		want   string
	}{
		{"deleted", func(b *builder, object string) { b.remove(object) }, "hole"},
		{"renamed", func(b *builder, object string) { b.rename(object, object+".old") }, "hole"},
		{"truncated", func(b *builder, object string) { b.write(object, b.read(object)[:100]) }, "mismatch"},
		{"bit-flipped", func(b *builder, object string) {
			content := b.read(object)
			content[len(content)-1] ^= 1
			b.write(object, content)
		}, "mismatch"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := sample(t)
			reader, err := b.Open(t.Context(), 1, file(1))
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			struck, dir := false, t.TempDir()
			err = b.Export(t.Context(), dir, 1, func(p archive.Progress) {
				if !struck {
					struck = true
					test.damage(b, b.path(1, file(1), 300))
				}
			})
			if got := kindOf(err); got != test.want || !struck || err != nil && !strings.Contains(err.Error(), archive.New(b.store, task).SegmentName(1, file(1), 300)) {
				t.Errorf("export: got %v, want a %s that names the object", err, test.want)
			}
			for name, got := range exported(t, dir) {
				if !bytes.HasPrefix(b.want["00000001/"+name], got) {
					t.Errorf("export wrote %s, %d bytes, other than what was archived", name, len(got))
				}
			}
			got, err := io.ReadAll(reader)
			if kindOf(err) != test.want || !bytes.HasPrefix(b.want["00000001/"+file(1)], got) {
				t.Errorf("reader: %d bytes and %v, want a %s", len(got), err, test.want)
			}
		})
	}
}

// TestVerifyGoesOn checks that one damaged segment hides nothing behind it.
func TestVerifyGoesOn(t *testing.T) {
	b := sample(t)
	for _, name := range []string{b.path(1, file(1), 0), b.path(1, file(3), 0), b.path(2, file(1), 0)} {
		content := b.read(name)
		content[len(content)-1] ^= 1
		b.write(name, content)
	}
	report, err := b.Verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Problems) != 3 || report.Files != 5 || report.Bytes != 950-100-10-70 {
		t.Errorf("got %+v, want 3 problems, 5 files, 770 bytes", report)
	}
}
