package dump

import (
	"errors"
	"fmt"

	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

// corruptIn is the fault in what the source sent with which a dump ended, or nil.
func corruptIn(err error) *source.CorruptError {
	if corrupt := (*source.CorruptError)(nil); errors.As(err, &corrupt) {
		return corrupt
	}
	return nil
}

// repeatedFault says what a fault means in what the source sends, which before is the last
// dump's. One may have come about on the way. Where it stands at the same place on two
// connections, it stands in the source's file.
func repeatedFault(now, before *source.CorruptError) error {
	if now == nil || before == nil || now.File != before.File || now.Offset != before.Offset {
		return nil
	}
	return Blocked(zkpaths.BlockedSourceCorrupt, fmt.Errorf("the source's %s is corrupt after %d, found on two connections alike: %s; no replica can read on there",
		now.File, now.Offset, now.Problem), "read the file with mysqlbinlog --verify-binlog-checksum at the source, to be sure; "+hintUnreadable)
}
