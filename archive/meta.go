package archive

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Format is the format of all objects that this version writes, and the highest
// that it reads.
const Format = 1

const (
	// metaMagic is the magic of the zstd skippable frame with the metadata
	// (RFC 8878, section 3.1.2, has 0x184D2A50 to 0x184D2A5F).
	metaMagic = 0x184D2A50
	// frameHeaderSize is the size of a skippable frame's magic and length.
	frameHeaderSize = 8
	// metaGuess is how many bytes are read in the hope of the whole metadata.
	metaGuess = 4 << 10
	// maxMetaSize bounds the metadata. GTID sets make it long; of the largest
	// known ones, 16 MiB hold several.
	maxMetaSize = 16 << 20
)

// Meta is the metadata of a segment, in the order in which it is written; meta_hash
// follows. Offsets are bytes in the binlog file.
type Meta struct {
	Format             int        `json:"format"`
	Task               string     `json:"task"`
	Timeline           int64      `json:"timeline"`
	File               string     `json:"file"`
	Start              int64      `json:"start"` // the offset of the first byte
	End                int64      `json:"end"`   // the offset after the last byte
	Events             int64      `json:"events"`
	FirstEventTime     *time.Time `json:"first_event_time"` // nil without events
	LastEventTime      *time.Time `json:"last_event_time"`
	GTIDSet            string     `json:"gtid_set"`             // transactions completed in this segment
	LastTransactionEnd int64      `json:"last_transaction_end"` // -1 when none is completed here
	OpenTransaction    string     `json:"open_transaction"`     // the GTID that is open at End, or ""
	OverlapStart       int64      `json:"overlap_start"`        // where a resumed dump begins
	OverlapHash        string     `json:"overlap_hash"`         // of the bytes [OverlapStart, End)
	EndsFile           bool       `json:"ends_file"`
	NextFile           string     `json:"next_file"` // what follows when EndsFile, else ""
	ClosesTimeline     bool       `json:"closes_timeline"`
	BytesHash          string     `json:"bytes_hash"` // of the raw bytes
	ChainHash          string     `json:"chain_hash"` // see chainHash; Append sets it
	Term               int64      `json:"term"`
	ServerID           string     `json:"server_id"` // of the worker

	// ClosesReason and ClosesServer are the Closing of a segment that closes its
	// timeline, else "".
	ClosesReason string `json:"closes_reason,omitempty"`
	ClosesServer string `json:"closes_server,omitempty"`

	// PreviousGTIDSet is what the file's previous-GTIDs event says, in the
	// segment that holds that event, else nil.
	PreviousGTIDSet *string `json:"previous_gtid_set,omitempty"`
}

// Empty reports whether the segment has no bytes and only ends something.
func (m Meta) Empty() bool { return m.Start == m.End }

// problem says what makes m unfit for any segment, or "".
func (m Meta) problem() string {
	switch {
	case m.Task == "" || m.Timeline < 1:
		return "names no task or timeline"
	case !ValidFile(m.File):
		return fmt.Sprintf("invalid binlog file name %q", m.File)
	case m.Start < 0 || m.End < m.Start:
		return fmt.Sprintf("invalid range %d to %d", m.Start, m.End)
	case m.Empty() && !m.EndsFile && !m.ClosesTimeline:
		return "is empty but ends nothing"
	case m.ClosesTimeline && (!m.Empty() || m.EndsFile):
		return "closes the timeline but is not a segment of its own"
	case m.EndsFile != (m.NextFile != ""):
		return "ends_file and next_file contradict each other"
	case m.EndsFile && (!ValidFile(m.NextFile) || m.NextFile == m.File):
		return fmt.Sprintf("ends the file at %d with invalid next file %q", m.End, m.NextFile)
	case m.OverlapStart < 0 || m.OverlapStart > m.End:
		return fmt.Sprintf("invalid overlap_start %d", m.OverlapStart)
	case !validHash(m.BytesHash) || !validHash(m.OverlapHash):
		return "invalid hash"
	}
	return ""
}

// frame returns m as a zstd skippable frame, with its meta_hash.
func (m Meta) frame() ([]byte, error) {
	m.FirstEventTime, m.LastEventTime = utc(m.FirstEventTime), utc(m.LastEventTime)
	var b bytes.Buffer
	b.Write(make([]byte, frameHeaderSize))
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, err
	}
	hash := Hash(b.Bytes()[frameHeaderSize:])
	b.Truncate(b.Len() - len(metaEnd))
	b.WriteString(metaTail(hash))
	size := b.Len() - frameHeaderSize
	if size > maxMetaSize {
		return nil, fmt.Errorf("metadata of %d bytes is over %d", size, maxMetaSize)
	}
	binary.LittleEndian.PutUint32(b.Bytes()[0:], metaMagic)
	binary.LittleEndian.PutUint32(b.Bytes()[4:], uint32(size))
	return b.Bytes(), nil
}

// metaEnd is what a line of metadata ends with.
const metaEnd = "}\n"

// metaTail is what it ends with when it has a meta_hash.
func metaTail(hash string) string { return `,"meta_hash":"` + hash + `"` + metaEnd }

// metaProblem says what is wrong with a line of metadata that gives hash as its
// meta_hash, or "".
func metaProblem(line []byte, hash string) string {
	rest, isLast := bytes.CutSuffix(line, []byte(metaTail(hash)))
	if !isLast {
		return "has a meta_hash that is not its last key"
	}
	sum := xxhash.New()
	sum.Write(rest)
	sum.WriteString(metaEnd)
	if FormatHash(sum.Sum64()) != hash {
		return "has other metadata than its meta_hash says"
	}
	return ""
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

// ReadMeta returns a segment's metadata, and the offset in the object at which
// its zstd frames begin. It reads the first few KiB. It returns ErrNotExist,
// *BrokenError or *NewerFormatError.
func ReadMeta(ctx context.Context, store Store, name string) (Meta, int64, error) {
	head, err := readRange(ctx, store, name, 0, metaGuess)
	if err != nil {
		return Meta{}, 0, err
	}
	size, err := frameSize(head)
	if err != nil {
		return Meta{}, 0, &BrokenError{name, err.Error()}
	}
	if missing := size - int64(len(head)); missing > 0 && len(head) == metaGuess {
		rest, err := readRange(ctx, store, name, metaGuess, missing)
		if err != nil {
			return Meta{}, 0, err
		}
		head = append(head, rest...)
	}
	m, err := decodeMeta(name, head)
	return m, size, err
}

// frameSize returns the size of the skippable frame that b begins with.
func frameSize(b []byte) (int64, error) {
	if len(b) < frameHeaderSize || binary.LittleEndian.Uint32(b) != metaMagic {
		return 0, errors.New("does not begin with a segment's metadata")
	}
	size := int64(binary.LittleEndian.Uint32(b[4:]))
	if size > maxMetaSize {
		return 0, fmt.Errorf("metadata of %d bytes is over %d", size, maxMetaSize)
	}
	return frameHeaderSize + size, nil
}

// decodeMeta reads the skippable frame that b begins with.
func decodeMeta(name string, b []byte) (Meta, error) {
	size, err := frameSize(b)
	if err != nil {
		return Meta{}, &BrokenError{name, err.Error()}
	}
	if int64(len(b)) < size {
		return Meta{}, &BrokenError{name, "is cut off in its metadata"}
	}
	var read struct {
		Meta
		Hash string `json:"meta_hash"` // "": older than the key
	}
	line := b[frameHeaderSize:size]
	if err := decodeObject(name, line, &read); err != nil {
		return Meta{}, err
	}
	m := read.Meta
	if read.Hash != "" {
		if problem := metaProblem(line, read.Hash); problem != "" {
			return Meta{}, &BrokenError{name, problem}
		}
	}
	if problem := m.problem(); problem != "" {
		return Meta{}, &BrokenError{name, problem}
	}
	if !validHash(m.ChainHash) {
		return Meta{}, &BrokenError{name, "invalid chain_hash"}
	}
	return m, nil
}

// decodeObject reads one JSON value with a format. A newer format is told before
// its keys are read, since they may mean something else there.
func decodeObject(name string, text []byte, v any) error {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return &BrokenError{name, "unreadable: " + err.Error()}
	}
	if head.Format > Format {
		return &NewerFormatError{name, head.Format}
	}
	if head.Format < 1 {
		return &BrokenError{name, "has no format"}
	}
	if err := json.Unmarshal(text, v); err != nil {
		return &BrokenError{name, "unreadable: " + err.Error()}
	}
	return nil
}

// hashDigits is the length of a hash: 64 bits in hex.
const hashDigits = 16

// Hash returns the xxHash64 (seed 0) of b as 16 hex digits.
func Hash(b []byte) string { return FormatHash(xxhash.Sum64(b)) }

// FormatHash returns an xxHash64 sum as 16 hex digits.
func FormatHash(sum uint64) string { return fmt.Sprintf("%016x", sum) }

func validHash(s string) bool {
	if len(s) != hashDigits {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// chainHash links a segment to what is before it in its file: the chain hash
// there, or "" at the file's start.
func chainHash(before, bytesHash string) string {
	return FormatHash(xxhash.Sum64String(before + bytesHash))
}

// readObject reads a small JSON object whole.
func readObject(ctx context.Context, store Store, name string, v any) error {
	text, err := readAll(ctx, store, name, maxMetaSize+1)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > maxMetaSize {
		return &BrokenError{name, fmt.Sprintf("is over %d bytes", maxMetaSize)}
	}
	return decodeObject(name, text, v)
}

// createObject stores v as one line of JSON, create-only.
func createObject(ctx context.Context, store Store, name string, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	if err := store.Create(ctx, name, b.Bytes()); err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	return nil
}
