package binlog

// Start is where a dump begins: at the first byte of File, or after an Overlap in it.
type Start struct {
	File    string
	Overlap *Overlap // nil: at byte 0
}

// Overlap is the end of what is archived of a file. A source has to show the same bytes before its dump may go on.
type Overlap struct {
	From, To int64  // offsets in the file, in bytes, of events' ends or 0
	Hash     string // xxHash64, seed 0, 16 hexadecimal digits, of the bytes [From,To)
	Open     string // the GTID that is open at To, or ""
	NextFile string // when the archived file ends at To: the file that follows
}
