package dump

import (
	"fmt"
	"slices"

	"binkeeper/archive"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

// renamedTo is the base name of the source's files when they have another one than
// those that are archived, else "": the source was started with another --log-bin. It
// has forgotten the files of the old name by then, and sends none of them.
func renamedTo(s facts) string {
	was := archive.FileBase(s.End.File)
	if slices.ContainsFunc(s.Files, func(f source.BinlogFile) bool { return archive.FileBase(f.Name) == was }) {
		return ""
	}
	return archive.FileBase(s.Files[0].Name)
}

// executedBefore reports whether the archived transactions are just those that the
// source executed before its file, which is its oldest. A MySQL that begins with a new
// base name says so in gtid_purged; the previous GTIDs of its first file are empty. With
// any gtid_mode but ON, now or where the archive ends, there may be transactions that no
// GTID tells of.
func executedBefore(s facts, file string) bool {
	anonymous := s.End.Last.LastTransactionEnd >= 0 && s.End.Last.GTIDSet == ""
	return !anonymous && file == s.Files[0].Name && s.Server.GTIDMode == "ON" &&
		provable(s.End) && s.Server.Purged != nil && s.Server.Purged.Equal(s.End.GTIDSet)
}

// provable reports whether GTIDs can tell what is archived: equal sets prove nothing
// when they are empty.
func provable(end archive.End) bool {
	return end.GTIDSet != nil && !end.GTIDSet.IsEmpty()
}

func blockedRenamed(s facts, base string) error {
	return Blocked(zkpaths.BlockedPurged, fmt.Errorf("the base name of the source's binlog files has changed: they are %s.* now, and the archive ends in %s:%d; "+
		"that nothing was written between those and %s is not proven", base, s.End.File, s.End.Offset, s.Files[0].Name), hintPurged)
}
