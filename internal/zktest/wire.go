package zktest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The opcodes of requests.
const (
	opCreate       = 1
	opDelete       = 2
	opExists       = 3
	opGetData      = 4
	opSetData      = 5
	opGetACL       = 6
	opSetACL       = 7
	opGetChildren  = 8
	opSync         = 9
	opPing         = 11
	opGetChildren2 = 12
	opCheck        = 13
	opMulti        = 14
	opClose        = -11
	opSetWatches   = 101
	opError        = -1
)

// A Code is a server's answer to a request: 0, or why it was not carried out.
type Code int32

// The codes that a server answers with.
const (
	OK                      Code = 0
	Inconsistent            Code = -2 // of the operations of a Multi behind the one that failed
	BadArguments            Code = -8
	Unimplemented           Code = -6
	NoNode                  Code = -101
	NoAuth                  Code = -102
	BadVersion              Code = -103
	NoChildrenForEphemerals Code = -108
	NodeExists              Code = -110
	NotEmpty                Code = -111
	SessionExpired          Code = -112
)

// The xids that are no request's.
const (
	xidEvent = -1
	xidPing  = -2
)

// maxPacket is the size, in bytes, above which a server ends the connection: jute.maxbuffer's default.
const maxPacket = 0xfffff

// errMalformed says that a packet does not hold what it should.
var errMalformed = errors.New("malformed packet")

// readPacket reads one packet: its length in 4 bytes, and as many bytes.
func readPacket(r io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxPacket {
		return nil, fmt.Errorf("%w: %d bytes", errMalformed, n)
	}
	packet := make([]byte, n)
	_, err := io.ReadFull(r, packet)
	return packet, err
}

// A decoder reads a packet's values from front to back. After the first that is not there, all are zero.
type decoder struct {
	rest []byte
	bad  bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || n > len(d.rest) {
		d.bad = true
		return nil
	}
	taken := d.rest[:n]
	d.rest = d.rest[n:]
	return taken
}

func (d *decoder) int32() int32 {
	if b := d.take(4); b != nil {
		return int32(binary.BigEndian.Uint32(b))
	}
	return 0
}

func (d *decoder) int64() int64 {
	if b := d.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (d *decoder) bool() bool {
	b := d.take(1)
	return b != nil && b[0] != 0
}

// buffer reads bytes, nil where the length is -1.
func (d *decoder) buffer() []byte {
	n := d.int32()
	if n == -1 {
		return nil
	}
	return append([]byte{}, d.take(int(n))...)
}

func (d *decoder) string() string { return string(d.buffer()) }

func (d *decoder) strings() []string {
	var list []string
	for n := d.int32(); n > 0 && !d.bad; n-- {
		list = append(list, d.string())
	}
	return list
}

// acls reads the permissions that a list of ACLs gives to everybody.
func (d *decoder) acls() (anyone int32) {
	for n := d.int32(); n > 0 && !d.bad; n-- {
		perms, scheme, id := d.int32(), d.string(), d.string()
		if scheme == "world" && id == "anyone" {
			anyone |= perms
		}
	}
	return anyone
}

// An encoder appends a packet's values.
type encoder []byte

func (e *encoder) int32(n int32) { *e = binary.BigEndian.AppendUint32(*e, uint32(n)) }
func (e *encoder) int64(n int64) { *e = binary.BigEndian.AppendUint64(*e, uint64(n)) }

func (e *encoder) bool(b bool) {
	if b {
		*e = append(*e, 1)
	} else {
		*e = append(*e, 0)
	}
}

func (e *encoder) buffer(b []byte) {
	if b == nil {
		e.int32(-1)
		return
	}
	e.int32(int32(len(b)))
	*e = append(*e, b...)
}

func (e *encoder) string(s string) {
	e.int32(int32(len(s)))
	*e = append(*e, s...)
}

func (e *encoder) strings(list []string) {
	e.int32(int32(len(list)))
	for _, s := range list {
		e.string(s)
	}
}

func (e *encoder) stat(s stat) {
	for _, n := range []int64{s.czxid, s.mzxid, s.ctime, s.mtime} {
		e.int64(n)
	}
	for _, n := range []int32{s.version, s.cversion, s.aversion} {
		e.int32(n)
	}
	e.int64(s.owner)
	e.int32(s.length)
	e.int32(s.children)
	e.int64(s.pzxid)
}

// reply begins a packet with a reply's header; its length comes with packed.
func reply(xid int32, zxid int64, code Code) *encoder {
	e := &encoder{}
	e.int32(xid)
	e.int64(zxid)
	e.int32(int32(code))
	return e
}

// packed is the packet with its length in front.
func (e *encoder) packed() []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(*e))), *e...)
}
