package archive_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"binkeeper/archive"
)

// renamed is an archive of a source that was given another base name, and then the first one again.
func renamed(t *testing.T) *builder {
	b := newBuilder(t)
	b.rotate(50, file(2))
	b.data(300)
	b.crash("other-bin.000001")
	b.rotate(20, "other-bin.000002")
	b.data(40)
	return b
}

// Files of another base name have no order among names: what was archived before stands before, and what is missing of it
// is missed all the same.
func TestBaseNameChanged(t *testing.T) {
	tests := []struct {
		name  string
		build func(*builder)
		read  string // the file that is read
		hole  bool
	}{
		{"the file that is written, of the new name", func(*builder) {}, "other-bin.000002", false},
		{"a whole one of the old name", func(*builder) {}, file(2), false},
		{"the end of the old name's last file is lost", func(b *builder) { b.remove(b.path(1, file(2), 300)) }, file(2), true},
		{"the name went back, and the file between is read", func(b *builder) { b.crash(file(3)); b.data(10) }, "other-bin.000002", false},
		{"the same, and the file that is written is read", func(b *builder) { b.crash(file(3)); b.data(10) }, file(3), false},
		{"the same, and the end of the file between is lost", func(b *builder) {
			b.crash(file(3))
			b.data(10)
			b.remove(b.path(1, "other-bin.000002", 40))
		}, "other-bin.000002", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := renamed(t)
			tt.build(b)
			r, err := b.Open(t.Context(), archive.Newest, tt.read)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			got, err := io.ReadAll(r)
			hole := (*archive.HoleError)(nil)
			if errors.As(err, &hole) != tt.hole || err != nil && !tt.hole {
				t.Errorf("err = %v, want a hole: %v", err, tt.hole)
			}
			if want := b.want["00000001/"+tt.read]; !bytes.Equal(got, want) {
				t.Errorf("%d bytes, want %d", len(got), len(want))
			}
		})
	}
}

// What a source executed under its old base name is archived, although its files of the new one do not say so.
func TestBaseNameChangedKeepsTheGTIDs(t *testing.T) {
	b := newBuilder(t)
	b.data(100, 200)
	b.crash("other-bin.000001")
	seg := b.segment(b.end, 30)
	none := ""
	seg.Meta.PreviousGTIDSet = &none
	b.append(seg)
	want := uuid + ":1-3"
	if got := b.end.GTIDSet.String(); got != want {
		t.Errorf("after the append %s, want %s", got, want)
	}
	omitted := b.end.Hint()
	omitted.GTIDSet, omitted.GTIDSetOmitted = "", true
	for _, hint := range []*archive.Hint{nil, b.end.Hint(), b.ends[1].Hint(), omitted} {
		if got := b.walk(hint).GTIDSet.String(); got != want {
			t.Errorf("after a walk from %+v %s, want %s", hint, got, want)
		}
	}
}
