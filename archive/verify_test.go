package archive_test

import (
	"errors"
	"strings"
	"testing"

	"binkeeper/archive"
)

// TestVerifyCheckpoint takes the end of an archive away. Nothing in the archive tells of it; the checkpoint does.
func TestVerifyCheckpoint(t *testing.T) {
	tests := []struct {
		name   string
		damage func(b *builder)
		object string // that is missing; "": none
		offset int64
	}{
		{"nothing lost", func(*builder) {}, "", 0},
		{"appended since", func(b *builder) { b.data(10); b.rotate(20, file(3)) }, "", 0},
		{"a timeline begun since", func(b *builder) { b.close(); b.timeline(file(1)) }, "", 0},
		{"the last segment", func(b *builder) { b.remove(b.path(2, file(2), 80)) }, "00000002/mysql-bin.000002/00000000000000000080.zst", 80},
		{"the last file", func(b *builder) { b.remove(b.dir + "/orders/00000002/" + file(2)) }, "00000002/mysql-bin.000002/00000000000000000000.zst", 0},
		{"all segments of the newest timeline", func(b *builder) {
			b.remove(b.dir + "/orders/00000002/" + file(2))
			b.remove(b.dir + "/orders/00000002/" + file(1))
		}, "00000002/mysql-bin.000001/00000000000000000000.zst", 0},
		{"the newest timeline", func(b *builder) { b.remove(b.dir + "/orders/00000002") }, "00000002/timeline.json", 0},
		{"everything", func(b *builder) { b.remove(b.dir + "/orders") }, "00000001/timeline.json", 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := sample(t)
			checkpoint := b.end.Hint()
			test.damage(b)
			if report, err := b.Verify(t.Context(), nil); test.name != "everything" && (err != nil || !report.OK) {
				t.Errorf("without the checkpoint: got %+v, %v, want it to be called good", report, err)
			}
			report, err := b.Verify(t.Context(), checkpoint)
			if err != nil {
				t.Fatal(err)
			}
			if test.object == "" {
				if !report.OK {
					t.Errorf("got %+v, want no problem", report)
				}
				return
			}
			behind := (*archive.BehindError)(nil)
			if len(report.Problems) != 1 || report.OK || !errors.As(report.Err(), &behind) {
				t.Fatalf("got %+v, want one problem, the lost end", report)
			}
			p := report.Problems[0]
			if p.Object != "orders/"+test.object || p.Offset != test.offset || !strings.Contains(p.Problem, "archived up to mysql-bin.000002:170") {
				t.Errorf("got %+v, want %s at %d", p, test.object, test.offset)
			}
		})
	}
}

// A hole before the checkpoint is one problem, not two.
func TestVerifyCheckpointBehindAHole(t *testing.T) {
	b := sample(t)
	b.remove(b.path(2, file(2), 0))
	report, err := b.Verify(t.Context(), b.end.Hint())
	if err != nil || len(report.Problems) != 1 || kindOf(report.Err()) != "hole" {
		t.Errorf("got %+v, %v, want the hole", report, err)
	}
}
