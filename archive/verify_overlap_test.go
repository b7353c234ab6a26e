package archive_test

import (
	"errors"
	"strings"
	"testing"

	"binkeeper/archive"
)

// An overlap is a segment of some size whose overlap begins at an offset of the file.
type overlap struct {
	size, from int64
	wrong      bool // its hash is another one
}

// TestVerifyOverlap recomputes overlap hashes: a wrong one would make a task diverged at its next dump.
func TestVerifyOverlap(t *testing.T) {
	const mib = archive.MaxOverlap
	tests := []struct {
		name     string
		segments []overlap
		problems []string // one for each, in order
	}{
		{"within the segment", []overlap{{300, 100, false}, {300, 599, false}, {300, 900, false}}, nil},
		{"the whole segment", []overlap{{300, 0, false}, {300, 300, false}}, nil},
		{"in segments before", []overlap{{300, 100, false}, {300, 100, false}, {300, 100, false}, {300, 700, false}}, nil},
		{"in a segment before, anew", []overlap{{300, 250, false}, {300, 299, false}, {300, 100, false}}, nil},
		{"an empty segment", []overlap{{300, 100, false}, {0, 100, false}}, nil},
		{"an empty segment behind a large event", []overlap{{3 * mib, 5, false}, {0, 5, false}}, nil},
		{"as far back as can be", []overlap{{3 * mib, 3*mib - 7, false}, {700 << 10, 3*mib - 7, false}, {200, 2*mib + 700<<10 + 200, false}}, nil},
		{"wrong, within the segment", []overlap{{300, 100, true}, {300, 599, false}}, []string{"other bytes from 100"}},
		{"wrong, in a segment before", []overlap{{300, 100, false}, {300, 100, true}, {300, 100, false}}, []string{"other bytes from 100"}},
		{"wrong, an empty segment", []overlap{{300, 100, false}, {0, 100, true}}, []string{"other bytes from 100"}},
		{"wrong, as far back as can be", []overlap{{3 * mib, 0, false}, {200, 2*mib + 200, true}}, []string{"other bytes from 2097352"}},
		{"further back than can be", []overlap{{5 * mib, 0, false}, {200, mib, false}, {200, mib, false}}, []string{"longer than", "longer than"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBuilder(t)
			for _, o := range test.segments {
				b.append(b.withOverlap(o))
			}
			if b.end.File == file(1) {
				b.rotate(10, file(2))
			}
			b.append(b.withOverlap(overlap{size: 50, from: 20}))
			report, err := b.Verify(t.Context(), nil)
			if err != nil || len(report.Problems) != len(test.problems) || report.OK != (len(test.problems) == 0) || report.Files != 2 {
				t.Fatalf("got %+v, %v, want %d problems", report, err, len(test.problems))
			}
			for n, want := range test.problems {
				if p := report.Problems[n]; !strings.Contains(p.Problem, want) || !strings.Contains(p.Object, file(1)) {
					t.Errorf("got %+v, want %q", p, want)
				}
			}
		})
	}
}

// withOverlap returns the next segment, with an overlap of its own.
func (b *builder) withOverlap(o overlap) archive.Segment {
	seg := b.segment(b.end, o.size)
	if o.size == 0 {
		seg = b.end.EmptySegment(1, "w1")
		seg.Meta.EndsFile, seg.Meta.NextFile = true, file(2)
	}
	m := &seg.Meta
	m.OverlapStart, m.OverlapHash = o.from, archive.Hash(content(m.File, o.from, m.End))
	if o.wrong {
		m.OverlapHash = archive.Hash([]byte("other bytes"))
	}
	return seg
}

// What a damaged segment takes with it is its own problem: of the overlaps that reach into it nothing is said.
func TestVerifyOverlapBehindDamage(t *testing.T) {
	b := newBuilder(t)
	for range 3 {
		b.append(b.withOverlap(overlap{size: 300, from: 100}))
	}
	b.append(b.withOverlap(overlap{size: 300, from: 950, wrong: true}))
	name := b.path(1, file(1), 300)
	damaged := b.read(name)
	damaged[len(damaged)-1] ^= 1
	b.write(name, damaged)
	report, err := b.Verify(t.Context(), nil)
	if err != nil || len(report.Problems) != 2 || report.Problems[0].Offset != 300 || report.Problems[1].Offset != 900 || report.Bytes != 900 {
		t.Errorf("got %+v, %v, want the damaged segment and the one whose overlap is wrong", report, err)
	}
	if mismatch := (*archive.MismatchError)(nil); !errors.As(report.Err(), &mismatch) {
		t.Errorf("got %v, want a *MismatchError", report.Err())
	}
}
