package archive

import (
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// MaxOverlap is how long, in bytes, an overlap is at most: up to there it is the last
// transaction, beyond it the last event alone, however long that is.
const MaxOverlap = 1 << 20

// overlapHashes recomputes the overlap hashes of the segments of one file, from its
// bytes in order. An overlap may begin in a segment before, so it keeps the last bytes.
type overlapHashes struct {
	known int64  // where the bytes begin that were seen without a break
	tail  []byte // the last of them, MaxOverlap or more if there are as many
	end   int64  // where they end
	from  int64  // sum is that of the bytes [from, end); -1: of none
	sum   xxhash.Digest
}

// restart forgets what was seen: the bytes from offset come next.
func (o *overlapHashes) restart(offset int64) {
	o.known, o.end, o.from, o.tail = offset, offset, -1, o.tail[:0]
}

// begin makes ready for the bytes of m. It returns what is wrong with its overlap_start,
// or "".
func (o *overlapHashes) begin(m Meta) string {
	kept := o.end - int64(len(o.tail))
	switch {
	case m.OverlapStart == o.from:
		return "" // as in the segment before: the transaction goes on
	case m.OverlapStart < o.known:
		o.from = -1 // what it begins with was lost, which is a problem of its own
		return ""
	case m.OverlapStart < kept:
		o.from = -1
		return fmt.Sprintf("has an overlap from %d to %d, which is longer than any that is written", m.OverlapStart, m.End)
	}
	o.from = m.OverlapStart
	o.sum.Reset()
	if o.from < o.end {
		o.sum.Write(o.tail[o.from-kept:])
	}
	return ""
}

// add takes the next bytes.
func (o *overlapHashes) add(b []byte) {
	if skip := max(0, o.from-o.end); o.from >= 0 && skip < int64(len(b)) {
		o.sum.Write(b[skip:])
	}
	o.end += int64(len(b))
	if len(o.tail)+len(b) > 2*MaxOverlap {
		keep := min(len(o.tail), MaxOverlap)
		o.tail = append(o.tail[:0], o.tail[len(o.tail)-keep:]...)
	}
	o.tail = append(o.tail, b...)
}

// problem says what is wrong with the overlap hash of m, all bytes of which were added,
// or "".
func (o *overlapHashes) problem(m Meta) string {
	if o.from >= 0 && FormatHash(o.sum.Sum64()) != m.OverlapHash {
		return fmt.Sprintf("holds other bytes from %d than its overlap_hash says", m.OverlapStart)
	}
	return ""
}
