// Package binlog reads what binary logs consist of: the common header of events, their checksums, and the bodies of
// those events that say how a file is laid out and where its transactions begin and end. All else in an event is of no
// concern here.
//
// A binlog file is the four bytes of Magic and then events, one after the other:
//
//	header    19 bytes, little-endian: 4 the time in seconds since 1970, 1 the type, 4 the server id, 4 the size
//	          of the whole event, 4 the offset of its end in the file modulo 2^32, 2 flags
//	body
//	checksum  CRC32 of what comes before it, 4 bytes, where the file's format description says so
//
// The package does no I/O, keeps no byte that it is given, and takes every byte for one that may be wrong: what is too
// short or makes no sense is an error. Numbers of event types from 160 on are MariaDB's.
package binlog

// Magic stands at the start of every binlog file and is no event.
var Magic = [MagicSize]byte{0xfe, 'b', 'i', 'n'}

// Sizes in a binlog file, in bytes, that are not events.
const (
	// MagicSize is the size of what every binlog file begins with.
	MagicSize = 4
	// EncryptionHeaderSize is what MySQL puts in front of an encrypted file on its
	// disk: its own list of files counts it, the stream does not have it.
	EncryptionHeaderSize = 512
)
