package binlog

import (
	"encoding/binary"
	"hash/crc32"
)

// ChecksumFits reports whether the last 4 bytes of event are the CRC32 of the
// others. The in-use flag of a format description does not count.
func ChecksumFits(event []byte, h *Header) bool {
	end := len(event) - ChecksumSize
	if end < HeaderSize {
		return false
	}
	want := binary.LittleEndian.Uint32(event[end:])
	if h.Type != TypeFormatDescription || h.Flags&FlagInUse == 0 {
		return Checksum(event[:end]) == want
	}
	masked := [HeaderSize]byte(event)
	masked[17] &^= FlagInUse
	return crc32.Update(crc32.ChecksumIEEE(masked[:]), crc32.IEEETable, event[HeaderSize:end]) == want
}

// slices16 are the tables of the CRC32 by 16 bytes at once: slices16[n][b] is what the
// byte b does to the checksum n bytes later.
var slices16 = makeSlices()

func makeSlices() *[16][256]uint32 {
	s := &[16][256]uint32{*crc32.IEEETable}
	for n := 1; n < len(s); n++ {
		for b, before := range s[n-1] {
			s[n][b] = s[0][byte(before)] ^ before>>8
		}
	}
	return s
}

// byHardware is from which length on the standard library's CRC32 is the faster one,
// and evenly the multiple of bytes that it is fast on.
const byHardware, evenly = 64, 16

// Checksum is crc32.ChecksumIEEE, in half the time for the few dozen bytes that most
// events have.
func Checksum(b []byte) uint32 {
	crc := ^uint32(0)
	if len(b) >= byHardware {
		even := len(b) &^ (evenly - 1)
		crc, b = ^crc32.ChecksumIEEE(b[:even]), b[even:]
	}
	s := slices16
	for ; len(b) >= 16; b = b[16:] {
		x, y := binary.LittleEndian.Uint64(b)^uint64(crc), binary.LittleEndian.Uint64(b[8:])
		crc = s[15][byte(x)] ^ s[14][byte(x>>8)] ^ s[13][byte(x>>16)] ^ s[12][byte(x>>24)] ^
			s[11][byte(x>>32)] ^ s[10][byte(x>>40)] ^ s[9][byte(x>>48)] ^ s[8][byte(x>>56)] ^
			s[7][byte(y)] ^ s[6][byte(y>>8)] ^ s[5][byte(y>>16)] ^ s[4][byte(y>>24)] ^
			s[3][byte(y>>32)] ^ s[2][byte(y>>40)] ^ s[1][byte(y>>48)] ^ s[0][byte(y>>56)]
	}
	if len(b) >= 8 {
		x := binary.LittleEndian.Uint64(b) ^ uint64(crc)
		crc = s[7][byte(x)] ^ s[6][byte(x>>8)] ^ s[5][byte(x>>16)] ^ s[4][byte(x>>24)] ^
			s[3][byte(x>>32)] ^ s[2][byte(x>>40)] ^ s[1][byte(x>>48)] ^ s[0][byte(x>>56)]
		b = b[8:]
	}
	if len(b) >= 4 {
		x := binary.LittleEndian.Uint32(b) ^ crc
		crc = s[3][byte(x)] ^ s[2][byte(x>>8)] ^ s[1][byte(x>>16)] ^ s[0][byte(x>>24)]
		b = b[4:]
	}
	for _, c := range b {
		crc = s[0][byte(crc)^c] ^ crc>>8
	}
	return ^crc
}
