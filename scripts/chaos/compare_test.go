package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"binkeeper/archive"
	"binkeeper/internal/history"
)

// content is a file's bytes, different for each name: the magic, and some events.
func content(name string) []byte {
	file := []byte("\xfebin")
	for range 20 {
		file = append(file, event(name)...)
	}
	return file
}

// event has a header of 19 bytes, the size among them.
func event(name string) []byte {
	e := append(make([]byte, 19), strings.Repeat(name, 4)...)
	e[9] = byte(len(e))
	return e
}

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const one, two = "mysql-bin.000001", "mysql-bin.000002"

// layOut writes a source with three histories of two files each, and its export with two timelines: one of the first
// history, which ends early in the second file, and one of the last.
func layOut(t *testing.T) (exported string, histories [][]string) {
	t.Helper()
	dir := t.TempDir()
	exported = filepath.Join(dir, "export")
	for _, history := range []string{"first", "second", "third"} {
		var files []string
		for _, name := range []string{one, two} {
			data := content(history + name)
			data[flagsAt] &^= inUse
			switch {
			case history == "third":
				write(t, filepath.Join(exported, "00000002", name), data)
			case history == "first" && name == one:
				write(t, filepath.Join(exported, "00000001", name), data)
			case history == "first":
				write(t, filepath.Join(exported, "00000001", name), data[:300])
			}
			data[flagsAt] |= inUse // as a crash leaves it
			files = append(files, write(t, filepath.Join(dir, history, name), data))
		}
		histories = append(histories, files)
	}
	return exported, histories
}

// The comparison has to find every damage: each byte, each missing file, each end too early or too late.
func TestCompare(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 0x10; return b }
	}
	cut := func(b []byte) []byte { return b[:len(b)-100] }
	tests := []struct {
		name   string
		damage string              // the exported file
		do     func([]byte) []byte // nil removes it
		want   string              // in the difference; empty means none
	}{
		{"one bit of the first byte", "00000002/" + one, flip(0), differs},
		{"one bit of the flags", "00000002/" + one, flip(flagsAt), differs},
		{"one bit in the middle", "00000002/" + two, flip(700), differs},
		{"one bit of the last byte", "00000002/" + two, flip(-1), differs},
		{"one bit of an earlier timeline", "00000001/" + two, flip(299), differs},
		{"cut off", "00000002/" + one, cut, archiveEnds},
		{"the last one cut off", "00000002/" + two, cut, archiveEnds},
		{"cut off in an earlier timeline", "00000001/" + one, cut, archiveEnds},
		{"too long", "00000002/" + two, func(b []byte) []byte { return append(b, 0) }, sourceEnds},
		{"an earlier timeline is longer than the source", "00000001/" + two, func([]byte) []byte { return append(content("first"+two), 0) }, sourceEnds},
		{"the last file is missing", "00000002/" + two, nil, two + " is not in"},
		{"the first file is missing", "00000002/" + one, nil, "not the source's file number 1"},
		{"the first file of an earlier timeline is missing", "00000001/" + one, nil, "not the source's file number 1"},
		{"a file too many", "00000002/mysql-bin.000003", func([]byte) []byte { return []byte("x") }, "not the source's file number 3"},
		{"a timeline too many", "00000003/" + one, func([]byte) []byte { return content("third" + one) }, "holds no history of the source of its own"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			exported, histories := layOut(t)
			path := filepath.Join(exported, test.damage)
			data, err := os.ReadFile(path)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if test.do != nil {
				write(t, path, test.do(data))
			} else if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			got, err := compare(exported, histories, nil)
			if err != nil || len(got.differences) == 0 || !strings.Contains(got.differences[0], test.want) {
				t.Errorf("differences %q, %v, want one with %q", got.differences, err, test.want)
			}
		})
	}
}

// Each timeline is a history of its own, and none is empty.
func TestCompareTimelines(t *testing.T) {
	last := func(t *testing.T, exported, timeline string, files ...string) {
		for _, name := range files {
			data := content("third" + name)
			data[flagsAt] &^= inUse
			write(t, filepath.Join(exported, timeline, name), data)
		}
	}
	remove := func(t *testing.T, exported string, names ...string) {
		for _, name := range names {
			if err := os.Remove(filepath.Join(exported, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	const own = "holds no history of the source of its own"
	tests := []struct {
		name   string
		damage func(t *testing.T, exported string)
		want   string
	}{
		{"the last history twice", func(t *testing.T, exported string) { last(t, exported, "00000003", one, two) }, "timeline 00000003 " + own},
		{"the beginning of the last history, and all of it", func(t *testing.T, exported string) {
			last(t, exported, "00000003", one, two)
			remove(t, exported, "00000002/"+two)
		}, "timeline 00000003 " + own},
		{"no file of the first timeline", func(t *testing.T, exported string) {
			remove(t, exported, "00000001/"+one, "00000001/"+two)
		}, "00000001 holds no file"},
		{"no file of the last timeline", func(t *testing.T, exported string) {
			remove(t, exported, "00000002/"+one, "00000002/"+two)
		}, "00000002 holds no file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			exported, histories := layOut(t)
			test.damage(t, exported)
			got, err := compare(exported, histories, nil)
			if err != nil || len(got.differences) == 0 || !strings.Contains(got.differences[0], test.want) {
				t.Errorf("differences %q, %v, want one with %q", got.differences, err, test.want)
			}
		})
	}
}

func TestCompareReach(t *testing.T) {
	whole := int64(len(content("third" + two)))
	tests := []struct {
		name    string
		reached map[int64]history.Place
		want    string // in the only difference; empty means none
	}{
		{"all that was committed", map[int64]history.Place{1: {File: two, Position: 300}, 2: {File: two, Position: whole}}, ""},
		{"less was committed", map[int64]history.Place{1: {File: one, Position: 4}}, ""},
		{"an earlier timeline lacks a byte", map[int64]history.Place{1: {File: two, Position: 301}, 2: {File: two, Position: whole}}, "ends at 300, and was committed up to 301"},
		{"an earlier timeline lacks a file", map[int64]history.Place{1: {File: "mysql-bin.000003", Position: 4}}, "is not there, and was committed up to 4"},
		{"a timeline is missing", map[int64]history.Place{3: {File: one, Position: 4}}, "is not there, and was committed up to 4"},
	}
	for _, test := range tests {
		exported, histories := layOut(t)
		got, err := compare(exported, histories, test.reached)
		want := min(len(test.want), 1)
		if err != nil || len(got.differences) != want || want == 1 && !strings.Contains(got.differences[0], test.want) {
			t.Errorf("%s: differences %q, %v, want %q", test.name, got.differences, err, test.want)
		}
	}
}

func TestCompareEqual(t *testing.T) {
	exported, histories := layOut(t)
	last := int64(len(content("third"+one)) + len(content("third"+two)))
	want := last + int64(len(content("first"+one))) + 300
	if got, err := compare(exported, histories, nil); err != nil || len(got.differences) > 0 || got.files != 4 || got.bytes != want {
		t.Errorf("comparison %+v, %v, want 4 files, %d bytes and no difference", got, err, want)
	}
	if got, err := compare(exported, histories[:2], nil); err != nil || len(got.differences) == 0 {
		t.Errorf("comparison %+v, %v, with another last history, want a difference", got, err)
	}
	if got, err := compare(t.TempDir(), histories, nil); err != nil || len(got.differences) == 0 {
		t.Errorf("comparison %+v, %v, of nothing, want a difference", got, err)
	}
}

// What MariaDB leaves of an event in whose middle it was killed is no difference; a whole event would be.
func TestCompareTornFile(t *testing.T) {
	whole := event("b")
	tests := []struct {
		name    string
		rest    []byte // of the source
		missing int    // bytes of the archive, of what comes before
		want    string
	}{
		{"a part of a header", whole[:10], 0, archiveEndsTorn},
		{"a part of an event", whole[:len(whole)-1], 0, archiveEndsTorn},
		{"an event", whole, 0, archiveEnds},
		{"an event and a part of one", append(bytes.Clone(whole), 0), 0, archiveEnds},
		{"an event of no size", make([]byte, 100), 0, archiveEnds},
		{"an archive that ends in the middle of an event", whole[:10], 7, archiveEnds},
		{"an archive without the last whole event", whole[:10], len(event("a")), archiveEnds},
	}
	for _, test := range tests {
		dir := t.TempDir()
		archived := write(t, filepath.Join(dir, "archived"), content("a")[:len(content("a"))-test.missing])
		source := write(t, filepath.Join(dir, "source"), append(content("a"), test.rest...))
		if _, got, err := compareFiles(archived, source); got != test.want || err != nil {
			t.Errorf("%s: %s, %v, want %s", test.name, got, err, test.want)
		}
	}
}

func TestJudgeChain(t *testing.T) {
	chain := func(terms ...int64) (metas []archive.Meta) {
		for n, term := range terms {
			metas = append(metas, archive.Meta{File: "mysql-bin.000001", Start: int64(n), End: int64(n + 1), Term: term, ServerID: "1"})
		}
		return metas
	}
	two := chain(1, 1)
	two[1].ServerID = "2"
	tests := []struct {
		name  string
		metas []archive.Meta
		want  int
	}{
		{"in order", chain(1, 1, 2, 5), 0},
		{"a replaced primary has appended behind its successor", chain(1, 2, 1), 1},
		{"two workers in one term", two, 1},
	}
	for _, test := range tests {
		if got := judgeChain(test.metas); len(got) != test.want {
			t.Errorf("%s: problems %q, want %d", test.name, got, test.want)
		}
	}
}
