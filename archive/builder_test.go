package archive_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
	"binkeeper/internal/gtid"
)

const (
	task = "orders"
	uuid = "0a0b0c0d-0000-0000-0000-000000000001"
)

var (
	compressor = archive.NewCompressor()
	created    = time.Date(2026, 11, 20, 10, 43, 0, 0, time.UTC)
)

func file(n int) string { return fmt.Sprintf("mysql-bin.%06d", n) }

// content is what the builder puts into a binlog file at [start, end). It has no
// period that could hide a wrong offset.
func content(name string, start, end int64) []byte {
	b := make([]byte, 0, end-start)
	seed := uint64(len(name)) + uint64(name[len(name)-1])<<8
	for i := start; i < end; i++ {
		x := (uint64(i) + seed<<32) * 0x9e3779b97f4a7c15
		x = (x ^ x>>29) * 0xbf58476d1ce4e5b9
		b = append(b, byte(x>>56))
	}
	return b
}

// A builder makes an archive on disk, the way a worker does, and keeps what it
// must read back as.
type builder struct {
	t     testing.TB
	dir   string
	store archive.Store
	*archive.Archive
	end  archive.End
	gno  int64
	want map[string][]byte // by timeline folder and file
	ends []archive.End     // after each append
}

func newBuilder(t testing.TB) *builder {
	t.Helper()
	dir := t.TempDir()
	store, err := dirstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{t: t, dir: dir, store: store, Archive: archive.New(store, task), want: map[string][]byte{}}
	if _, err := b.CreateOwner(t.Context(), archive.Owner{TaskUID: "uid", CreatedAt: created}); err != nil {
		t.Fatal(err)
	}
	b.timeline(file(1))
	return b
}

// timeline begins the next timeline.
func (b *builder) timeline(first string) {
	b.t.Helper()
	tl := archive.Timeline{
		Timeline: b.end.Timeline + 1, Flavor: gtid.MySQL, ServerVersion: "9.7.4", ServerUUID: uuid,
		Reason: archive.ReasonFirst, CreatedAt: created, Term: 1, ServerID: "w1", FirstFile: first,
	}
	if b.end.Timeline > 0 {
		tl.Reason, tl.Previous = archive.ReasonDiverged, b.end.Previous()
	}
	if err := b.CreateTimeline(b.t.Context(), tl); err != nil {
		b.t.Fatal(err)
	}
	b.end = b.walk(nil)
}

func (b *builder) walk(hint *archive.Hint) archive.End {
	b.t.Helper()
	end, err := b.Walk(b.t.Context(), hint)
	if err != nil {
		b.t.Fatal(err)
	}
	return end
}

// segment returns the next segment, of size bytes and one transaction.
func (b *builder) segment(end archive.End, size int64) archive.Segment {
	raw := content(end.File, end.Offset, end.Offset+size)
	at := created.Add(time.Duration(b.gno) * time.Second)
	m := archive.Meta{
		File: end.File, Start: end.Offset, End: end.Offset + size, Events: 3,
		FirstEventTime: &at, LastEventTime: &at,
		GTIDSet: fmt.Sprintf("%s:%d", uuid, b.gno+1), LastTransactionEnd: end.Offset + size,
		OverlapStart: end.Offset, OverlapHash: archive.Hash(raw), BytesHash: archive.Hash(raw),
		Term: 1, ServerID: "w1",
	}
	if end.Offset == 0 {
		previous := ""
		if b.gno > 0 {
			previous = fmt.Sprintf("%s:1-%d", uuid, b.gno)
		}
		m.PreviousGTIDSet = &previous
	}
	return archive.Segment{Meta: m, Frames: compressor.Compress(nil, raw)}
}

func (b *builder) append(seg archive.Segment) {
	b.t.Helper()
	at := b.end
	end, err := b.Append(b.t.Context(), at, seg)
	if err != nil {
		b.t.Fatal(err)
	}
	key := fmt.Sprintf("%08d/%s", at.Timeline, at.File)
	if size := seg.Meta.End - seg.Meta.Start; size > 0 {
		b.want[key] = append(b.want[key], content(at.File, seg.Meta.Start, seg.Meta.End)...)
		b.gno++
	}
	b.end = end
	b.ends = append(b.ends, end)
}

// data appends segments of these sizes.
func (b *builder) data(sizes ...int64) {
	b.t.Helper()
	for _, size := range sizes {
		b.append(b.segment(b.end, size))
	}
}

// rotate appends a segment that ends its file by a rotate event.
func (b *builder) rotate(size int64, next string) {
	b.t.Helper()
	seg := b.segment(b.end, size)
	seg.Meta.EndsFile, seg.Meta.NextFile = true, next
	b.append(seg)
}

// crash appends the empty segment after which another file follows.
func (b *builder) crash(next string) {
	b.t.Helper()
	seg := b.end.EmptySegment(1, "w1")
	seg.Meta.EndsFile, seg.Meta.NextFile = true, next
	b.append(seg)
}

func (b *builder) close() {
	b.t.Helper()
	end, err := b.CloseTimeline(b.t.Context(), b.end, archive.Closing{Reason: archive.ReasonDiverged, Server: uuid}, 1, "w1")
	if err != nil {
		b.t.Fatal(err)
	}
	b.end = end
	b.ends = append(b.ends, end)
}

// path is where a segment of a timeline is on disk.
func (b *builder) path(timeline int64, file string, start int64) string {
	return filepath.Join(b.dir, b.SegmentName(timeline, file, start))
}

// remove, write, rename and copyFile change the archive behind its back.
func (b *builder) remove(name string) {
	b.t.Helper()
	if err := os.RemoveAll(name); err != nil {
		b.t.Fatal(err)
	}
}

func (b *builder) read(name string) []byte {
	b.t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		b.t.Fatal(err)
	}
	return content
}

func (b *builder) write(name string, content []byte) {
	b.t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o640); err != nil {
		b.t.Fatal(err)
	}
}

func (b *builder) rename(old, new string) {
	b.t.Helper()
	b.write(new, b.read(old))
	b.remove(old)
}

// edit changes the metadata of a segment on disk, keeping its length and its meta_hash
// right, or another object.
func (b *builder) edit(name, old, new string) {
	b.t.Helper()
	b.damage(name, old, new)
	content := b.read(name)
	const key, end = `,"meta_hash":"`, "\"}\n"
	if at := bytes.LastIndex(content, []byte(key)); at >= 0 {
		line := append(bytes.Clone(content[8:at]), "}\n"...)
		copy(content[at+len(key):], archive.Hash(line)+end)
	}
	b.write(name, content)
}

// damage changes an object on disk, keeping its length.
func (b *builder) damage(name, old, new string) {
	b.t.Helper()
	if len(old) != len(new) {
		b.t.Fatalf("%q and %q differ in length", old, new)
	}
	content := b.read(name)
	if !bytes.Contains(content, []byte(old)) {
		b.t.Fatalf("%s has no %s", name, old)
	}
	b.write(name, bytes.Replace(content, []byte(old), []byte(new), 1))
}

// sample is an archive with every kind of end: two files ended by rotate events,
// one by a crash, a closed timeline, and a second one that is being written.
func sample(t testing.TB) *builder {
	b := newBuilder(t)
	b.data(100, 200)
	b.rotate(50, file(2))
	b.data(300)
	b.crash(file(3))
	b.data(10, 20, 30)
	b.close()
	b.timeline(file(1))
	b.rotate(70, file(2))
	b.data(80, 90)
	return b
}

func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
