package archive_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"
)

const (
	goldenHex  = "testdata/segment.hex" // a whole object, in hex
	olderHex   = "testdata/segment-without-meta-hash.hex"
	goldenRaw  = "the bytes of a binlog file, the bytes of a binlog file\n"
	goldenMeta = `{"format":1,"task":"orders","timeline":1,"file":"mysql-bin.000001","start":0,"end":55,"events":12,` +
		`"first_event_time":"2026-11-20T10:43:01Z","last_event_time":"2026-11-20T10:43:02Z",` +
		`"gtid_set":"0a0b0c0d-0000-0000-0000-000000000001:8","last_transaction_end":50,"open_transaction":"",` +
		`"overlap_start":20,"overlap_hash":"61cf90f89f86a1b3","ends_file":true,"next_file":"mysql-bin.000002","closes_timeline":false,` +
		`"bytes_hash":"565bba840466f0aa","chain_hash":"87cb0f6a53a515af","term":3,"server_id":"w<1>",` +
		`"previous_gtid_set":"0a0b0c0d-0000-0000-0000-000000000001:1-7"` + goldenHash + "}\n"
	goldenHash = `,"meta_hash":"dc48f11ad01c5f84"` // of the line without this
)

// goldenSegment is the segment that the golden object was made of, with its frames as
// they were: what an encoder makes of the bytes is not part of the format. Its times are
// in another zone, which the format does not have.
func goldenSegment(frames []byte) archive.Segment {
	zone := time.FixedZone("elsewhere", 3600)
	first := time.Date(2026, 11, 20, 11, 43, 1, 0, zone)
	last := first.Add(time.Second)
	previous := uuid + ":1-7"
	raw := []byte(goldenRaw)
	return archive.Segment{
		Meta: archive.Meta{
			File: file(1), End: int64(len(raw)), Events: 12, FirstEventTime: &first, LastEventTime: &last,
			GTIDSet: uuid + ":8", LastTransactionEnd: 50, OverlapStart: 20, OverlapHash: archive.Hash(raw[20:]),
			EndsFile: true, NextFile: file(2), BytesHash: archive.Hash(raw), Term: 3, ServerID: "w<1>",
			PreviousGTIDSet: &previous,
		},
		Frames: frames,
	}
}

// TestGolden freezes the format: what is written, and that what was written once
// can be read.
func TestGolden(t *testing.T) {
	b := newBuilder(t)
	frozen, length := golden(t, goldenHex), len(goldenMeta)
	header := append([]byte{0x50, 0x2a, 0x4d, 0x18, byte(length), byte(length >> 8), 0, 0}, goldenMeta...)
	if _, err := b.Append(t.Context(), b.end, goldenSegment(frozen[len(header):])); err != nil {
		t.Fatal(err)
	}
	got := b.read(b.path(1, file(1), 0))
	if !bytes.HasPrefix(got, header) {
		t.Errorf("got\n%s\nwant\n%s", got[:len(header)], header)
	}
	if !bytes.Equal(got, frozen) {
		t.Errorf("got\n%x\nwant\n%x", got, frozen)
	}
	checkGolden(t, b, int64(len(header)))
	older := golden(t, olderHex)
	b.write(b.path(1, file(1), 0), older)
	checkGolden(t, b, int64(len(header)-len(goldenHash)))
}

// checkGolden reads the golden object from the archive of b.
func checkGolden(t *testing.T, b *builder, framesAt int64) {
	t.Helper()
	r, err := b.Open(t.Context(), 1, file(1))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if raw, err := io.ReadAll(r); err != nil || string(raw) != goldenRaw {
		t.Errorf("got %q, %v, want %q", raw, err, goldenRaw)
	}
	m, frames, err := archive.ReadMeta(t.Context(), b.store, b.SegmentName(1, file(1), 0))
	if err != nil || frames != framesAt {
		t.Fatalf("got frames at %d, %v, want %d", frames, err, framesAt)
	}
	var want archive.Meta
	if err := json.Unmarshal([]byte(goldenMeta), &want); err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("got %+v, want %+v (%v)", m, want, err)
	}
}

// TestEmptyMeta freezes what a segment without events says.
func TestEmptyMeta(t *testing.T) {
	b := newBuilder(t)
	b.data(100)
	b.close()
	got := string(b.read(b.path(1, file(1), 100))[8:])
	for _, want := range []string{
		`"start":100,"end":100,"events":0,"first_event_time":null,"last_event_time":null,"gtid_set":"","last_transaction_end":-1,"open_transaction":""`,
		`"overlap_start":0,"overlap_hash":"` + b.ends[0].Last.OverlapHash + `","ends_file":false,"next_file":"","closes_timeline":true,"bytes_hash":"ef46db3751d8e999"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want it to contain %s", got, want)
		}
	}
	if !strings.Contains(got, `,"closes_reason":"diverged","closes_server":"`+uuid+`"`) {
		t.Errorf("got %s, want why the timeline is closed", got)
	}
	if strings.Contains(got, "previous_gtid_set") || !strings.HasSuffix(got, "}\n") {
		t.Errorf("got %s, want one line without previous_gtid_set", got)
	}
}

// TestLongMeta has metadata that the first read does not cover.
func TestLongMeta(t *testing.T) {
	for _, length := range []int{3000, 3500, 3700, 4000, 5000, 100_000} {
		b := newBuilder(t)
		seg := b.segment(b.end, 100)
		seg.Meta.GTIDSet += strings.Repeat(" ", length)
		b.append(seg)
		got := b.walk(nil)
		if !got.HasLast || got.Last.GTIDSet != seg.Meta.GTIDSet {
			t.Errorf("metadata with %d bytes more came back other than it was written", length)
		}
		b.checkExport(archive.Newest)
	}
}

func TestUnknownKeys(t *testing.T) {
	b := newBuilder(t)
	b.data(100)
	b.edit(b.path(1, file(1), 0), `"server_id":"w1"`, `"worker_id":"w1"`)
	if got := b.walk(nil); got.Offset != 100 || got.Last.ServerID != "" {
		t.Errorf("got %s by %q, want the segment without the key", got, got.Last.ServerID)
	}
}

func TestReadMetaBroken(t *testing.T) {
	valid, hashed := golden(t, olderHex), golden(t, goldenHex)
	tests := []struct {
		name    string
		content []byte
		want    string
	}{
		{"empty", nil, "does not begin"},
		{"short", valid[:7], "does not begin"},
		{"other magic", append([]byte{0x51}, valid[1:]...), "does not begin"},
		{"a zstd frame", compressor.Compress(nil, []byte("x")), "does not begin"},
		{"too long", []byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 1, '{'}, "is over"},
		{"cut", valid[:100], "cut off"},
		{"not JSON", []byte{0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, '{'}, "unreadable"},
		{"no format", []byte{0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, '{', '}'}, "no format"},
		{"wrong types", bytes.Replace(valid, []byte(`"end":55`), []byte(`"end":{}`), 1), "unreadable"},
		{"no chain hash", bytes.Replace(valid, []byte(`"chain_hash"`), []byte(`"choin_hash"`), 1), "chain_hash"},
		{"no task", bytes.Replace(valid, []byte(`"task"`), []byte(`"tusk"`), 1), "no task"},
		{"other metadata", bytes.Replace(hashed, []byte(`"events":12`), []byte(`"events":13`), 1), "meta_hash"},
		{"other meta_hash", bytes.Replace(hashed, []byte(`"meta_hash":"`), []byte(`"meta_hash":"f`), 1)[:len(hashed)], "meta_hash"},
		{"damaged meta_hash", bytes.Replace(hashed, []byte(goldenHash), []byte(goldenHash[:14]+"p"+goldenHash[15:]), 1), "meta_hash"},
		{"meta_hash not the last key", bytes.Replace(hashed, []byte(`"server_id":"w<1>"`), []byte(`"meta_hash":"w<1>"`), 1), "meta_hash"},
		{"bad file", bytes.Replace(valid, []byte(`"mysql-bin.000001"`), []byte(`"mysql/bin.000001"`), 1), "file name"},
	}
	store, err := dirstore.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		if err := store.Create(t.Context(), test.name, test.content); err != nil {
			t.Fatal(err)
		}
		_, _, err := archive.ReadMeta(t.Context(), store, test.name)
		broken := (*archive.BrokenError)(nil)
		if !errors.As(err, &broken) || broken.Object != test.name || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want a *BrokenError with %q", test.name, err, test.want)
		}
	}
	if _, _, err := archive.ReadMeta(t.Context(), store, "missing"); !errors.Is(err, archive.ErrNotExist) {
		t.Errorf("missing: got %v, want ErrNotExist", err)
	}
}

// golden returns a golden object.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	object, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// FuzzReadMeta reads any bytes as a segment. What is accepted must be fit to be
// followed, and mean the same when it is written again.
func FuzzReadMeta(f *testing.F) {
	valid := golden(f, goldenHex)
	f.Add(valid)
	f.Add(golden(f, olderHex))
	f.Add(valid[:100])
	f.Add([]byte{0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte("\x50\x2a\x4d\x18\x0c\x00\x00\x00{\"format\":2}"))
	f.Fuzz(func(t *testing.T, object []byte) {
		m, frames, err := archive.DecodeMeta(object)
		if err != nil {
			broken, newer := (*archive.BrokenError)(nil), (*archive.NewerFormatError)(nil)
			if !errors.As(err, &broken) && !errors.As(err, &newer) {
				t.Fatalf("got %v, want *BrokenError or *NewerFormatError", err)
			}
			return
		}
		if frames > int64(len(object)) || m.Start < 0 || m.End < m.Start || !archive.ValidFile(m.File) {
			t.Fatalf("accepted %+v with frames at %d", m, frames)
		}
		again, err := archive.EncodeMeta(m)
		if err != nil {
			return // a year that RFC 3339 does not have
		}
		if n, _, err := archive.DecodeMeta(again); err != nil || !reflect.DeepEqual(n, m) {
			t.Fatalf("got %+v, %v, want %+v", n, err, m)
		}
	})
}

// FuzzReadSegment reads any bytes as a segment's frames. It must never deliver
// other bytes as right.
func FuzzReadSegment(f *testing.F) {
	raw := []byte(goldenRaw)
	frames := compressor.Compress(nil, raw)
	f.Add(frames)
	f.Add(frames[:len(frames)-1])
	f.Add(append(compressor.Compress(nil, raw[:9]), compressor.Compress(nil, raw[9:])...))
	f.Add([]byte{})
	header := golden(f, goldenHex)[:8+len(goldenMeta)]
	store, err := dirstore.Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, frames []byte) {
		const object = "segment"
		if err := store.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		if err := store.Create(t.Context(), object, header, frames); err != nil {
			t.Fatal(err)
		}
		got, err := archive.ReadSegment(t.Context(), store, object)
		if mismatch := (*archive.MismatchError)(nil); err != nil && !errors.As(err, &mismatch) {
			t.Fatalf("got %v, want *MismatchError", err)
		}
		if err == nil && !bytes.Equal(got, raw) {
			t.Fatalf("got %q as right", got)
		}
	})
}

func TestCompressor(t *testing.T) {
	random := make([]byte, 1<<20)
	source := rand.NewChaCha8([32]byte{})
	source.Read(random)
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	var dst []byte
	for _, raw := range [][]byte{nil, {}, []byte("x"), bytes.Repeat([]byte("text "), 1<<18), random} {
		dst = compressor.Compress(dst[:0], raw)
		got, err := dec.DecodeAll(dst, nil)
		if err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%d bytes came back as %d, %v", len(raw), len(got), err)
		}
		if len(dst) > len(raw)+len(raw)/1000+32 {
			t.Errorf("%d bytes became %d", len(raw), len(dst))
		}
		if len(raw) == 0 && len(dst) > 0 {
			t.Errorf("no bytes became %x", dst)
		}
	}
}

func TestValidFile(t *testing.T) {
	tests := map[string]bool{
		"mysql-bin.000001": true, "binlog.1": true, "a.b.000009": true, "mysql-bin.1000000": true,
		"": false, "mysql-bin": false, "mysql-bin.": false, ".000001": false, "a/b.000001": false, "..": false, "x.00000a": false,
		".tmp-x.000001": false, ".hidden.000001": false, "timeline.json": false, "x\n.000001": false, "x.-1": false,
	}
	for name, want := range tests {
		if got := archive.ValidFile(name); got != want {
			t.Errorf("%q: got %t, want %t", name, got, want)
		}
	}
}

func TestFileBefore(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{file(1), file(2), true},
		{file(2), file(1), false},
		{file(2), file(2), false},
		{file(999999), file(1000000), true},
		{file(1000000), file(999999), false},
		{"b.9", "b.000010", true},
		{"b.09", "b.9", false},
		{"x.000001", file(2), false},
		{"x", file(2), false},
		{file(2), "x", false},
	}
	for _, test := range tests {
		if got := archive.FileBefore(test.a, test.b); got != test.want {
			t.Errorf("%s before %s: got %t, want %t", test.a, test.b, got, test.want)
		}
	}
}

// overwriting is a store that ignores that a name is taken.
type overwriting struct{ *dirstore.Store }

func (s overwriting) Create(ctx context.Context, name string, parts ...[]byte) error {
	if err := s.Delete(ctx, name); err != nil {
		return err
	}
	return s.Store.Create(ctx, name, parts...)
}

func TestProbeRefuses(t *testing.T) {
	dir := t.TempDir()
	store, err := dirstore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	refused := (*archive.StoreError)(nil)
	if err := archive.Probe(t.Context(), overwriting{store}, ""); !errors.As(err, &refused) || refused.Hint() == "" {
		t.Errorf("got %v, want a *StoreError with a hint", err)
	}
	if left, _ := filepath.Glob(dir + "/*"); len(left) > 0 {
		t.Errorf("the probe left %v", left)
	}
}
