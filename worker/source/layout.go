package source

// Sizes in a binlog file, in bytes, that are not events.
const (
	// MagicSize is the size of what every binlog file begins with.
	MagicSize = 4
	// EncryptionHeaderSize is what MySQL puts in front of an encrypted file on its
	// disk: its own list of files counts it, the stream does not have it.
	EncryptionHeaderSize = 512
)
