//go:build cgo

package archive

import (
	"encoding/binary"
	"fmt"

	czstd "github.com/DataDog/zstd"
	"github.com/cespare/xxhash/v2"
)

// encoder is zstd's own library, in C. It is not safe for concurrent use.
type encoder struct {
	context czstd.Ctx
	frame   []byte // where a frame is made: the library wants room for the worst case
	tried   []byte // a frame that is not kept
}

func newEncoder() *encoder { return &encoder{context: czstd.NewCtx()} }

// levels are zstd's. 1 and -1 find the same matches; -1 leaves literals as they are.
var levels = [...]int{least: -1, full: 1}

const (
	frameDescriptor  = 4      // its offset in a frame, in bytes: it follows the magic
	contentChecksums = 1 << 2 // its flag that a checksum follows the last block
)

// appendFrame compresses raw, and adds the content checksum, which the binding has no
// way to ask for: the low 4 bytes of the xxHash64 with seed 0, little-endian (RFC
// 8878, 3.1.1).
func (e *encoder) appendFrame(dst, raw []byte, effort effort) []byte {
	frame, err := e.context.CompressLevel(e.frame, raw, levels[effort])
	if err != nil {
		panic(fmt.Sprintf("compress %d bytes: %v", len(raw), err)) // there is room, so memory is out
	}
	e.frame = frame[:cap(frame)]
	frame[frameDescriptor] |= contentChecksums
	dst = append(dst, frame...)
	return binary.LittleEndian.AppendUint32(dst, uint32(xxhash.Sum64(raw)))
}
