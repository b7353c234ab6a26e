package dump

import (
	"errors"
	"fmt"
	"slices"

	"binkeeper/archive"
	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

const (
	hintDiverged = "the archived history is kept; to archive the source's present one: binkeeper task resume ID --accept-new-timeline"
	hintPurged   = "take a new base backup; then, to go on with the gap recorded: binkeeper task resume ID --accept-gap"
)

// hintUnreadable is for a file of which the source can send no more.
const hintUnreadable = "no replica can read on in that file: take a new base backup, purge the file at the source (PURGE BINARY LOGS TO the next one; " +
	"FLUSH BINARY LOGS makes one), and then go on with the gap recorded: binkeeper task resume ID --accept-gap"

// A facts is what is known before a dump: what is archived, what the operator
// wants, and which server answers with which binlog files.
type facts struct {
	End      archive.End
	Timeline archive.Timeline // of End; zero in an empty archive
	Last     zkpaths.LastCommit
	Spec     zkpaths.Spec
	Server   source.Server
	Files    []source.BinlogFile // in the source's order; never empty
	// Found is the reason for a new timeline that only the stream has shown, to the
	// dump before this one, or "".
	Found string
	// Torn says that the dump before this one took all that is whole of the file in
	// which the archive ends, and the source could send no more of it.
	Torn bool
}

// A plan is how the dump is to go.
type plan struct {
	Start binlog.Start
	// MatchPrevious asks that what came before the file equals what is archived, by its
	// GTIDs: the file before it, which would prove it, is purged, torn or forgotten.
	MatchPrevious bool
	// EndsFile says that the archive ends in the file before, of which the source can or
	// will send no more: it is to be ended there once Start.File is proven.
	EndsFile bool
	// Begin, when set, is the reason of a new timeline, which begins with
	// Start.File.
	Begin string
}

// planFor decides how a dump goes on from what is archived. Where it does not
// fit the source, that is a *BlockedError, unless the operator has answered it.
func planFor(s facts) (plan, error) {
	if s.End.Timeline == 0 {
		return firstPlan(s)
	}
	reason, err := unfit(s)
	if reason == "" {
		reason = s.Found // without an answer to it, the stream is looked at again
	}
	switch {
	case s.End.Closed:
		return closedPlan(s, reason, err)
	case accepted(s, reason):
		return plan{Start: binlog.Start{File: s.Files[0].Name}, Begin: reason}, nil
	case err != nil:
		return plan{}, err
	}
	if s.Torn {
		return tornPlan(s)
	}
	if renamedTo(s) != "" {
		return plan{Start: binlog.Start{File: s.Files[0].Name}, MatchPrevious: true, EndsFile: true}, nil
	}
	resume := s.End.Resume()
	if !listed(s.Files, resume.File) {
		return plan{Start: binlog.Start{File: s.End.File}, MatchPrevious: true}, nil
	}
	return plan{Start: resume}, nil
}

// accepted reports whether the operator has answered the block, of this server, with
// a new timeline of the given reason.
func accepted(s facts, reason string) bool {
	answers := func(answer, block string) bool {
		return s.Spec.Accept.Answers(answer, block, s.Server.Identity().String(), s.Last)
	}
	switch reason {
	case archive.ReasonGap:
		return answers(zkpaths.AcceptGap, zkpaths.BlockedPurged) ||
			answers(zkpaths.AcceptGap, zkpaths.BlockedTorn) || answers(zkpaths.AcceptGap, zkpaths.BlockedSourceCorrupt)
	case archive.ReasonDiverged:
		return answers(zkpaths.AcceptNewTimeline, zkpaths.BlockedDiverged)
	case archive.ReasonOtherSource:
		return answers(zkpaths.AcceptNewTimeline, zkpaths.BlockedOtherSource)
	}
	return false
}

// tornPlan goes on with the file after one that a crash has left torn, proven by
// the previous GTIDs that it begins with.
func tornPlan(s facts) (plan, error) {
	next := s.End.File // if an earlier primary has ended the torn one
	if s.End.Offset > 0 {
		next = fileAfter(s.Files, s.End.File)
	}
	if next == "" || !provable(s.End) {
		return plan{}, blockedTorn(s.End, next)
	}
	return plan{Start: binlog.Start{File: next}, MatchPrevious: true, EndsFile: s.End.Offset > 0}, nil
}

func blockedTorn(end archive.End, next string) error {
	problem := "nothing follows it"
	if next != "" {
		problem = "what comes before the first transaction of " + next + " is not what is archived"
	}
	return Blocked(zkpaths.BlockedTorn,
		fmt.Errorf("the source's %s ends in the middle of an event after %d, and %s", end.Last.File, end.Last.End, problem), hintUnreadable)
}

// fileAfter is the file that comes after one in the source's list, or "".
func fileAfter(files []source.BinlogFile, name string) string {
	at := slices.IndexFunc(files, func(f source.BinlogFile) bool { return f.Name == name })
	if at < 0 || at+1 == len(files) {
		return ""
	}
	return files[at+1].Name
}

// firstPlan begins the task's first timeline.
func firstPlan(s facts) (plan, error) {
	file := s.Spec.Start
	switch file {
	case zkpaths.StartEarliest:
		file = s.Files[0].Name
	case zkpaths.StartCurrent:
		file = s.Files[len(s.Files)-1].Name
	}
	if !listed(s.Files, file) {
		return plan{}, Blocked(zkpaths.BlockedPurged, fmt.Errorf("the task starts with %s, which the source does not have (oldest: %s)", file, s.Files[0].Name),
			"create the task anew with --start earliest")
	}
	return plan{Start: binlog.Start{File: file}, Begin: archive.ReasonFirst}, nil
}

// lacking returns the archived transactions that the timeline's server has not
// executed, or nil. A MariaDB's position cannot tell: without gtid_strict_mode a
// domain's number may go back, and a domain may be deleted. There the overlap decides.
func lacking(s facts) *gtid.Set {
	ours := s.End.GTIDSet
	if s.End.Timeline == 0 || s.Server.Flavor == gtid.MariaDB || !s.Server.Identity().Same(s.Timeline.Server()) || s.Server.Executed.Contains(ours) {
		return nil
	}
	return ours.Minus(s.Server.Executed)
}

// unfit says why the source does not continue what is archived, as the reason
// of a timeline and as a *BlockedError; or "" and nil.
func unfit(s facts) (reason string, err error) {
	if who := s.Server.Identity().Differs(s.Timeline.Server()); who != "" {
		return archive.ReasonOtherSource, Blocked(zkpaths.BlockedOtherSource,
			fmt.Errorf("another server answers at %s: %s", s.Spec.Source, who), hintDiverged)
	}
	if lacking := lacking(s); lacking != nil {
		return archive.ReasonDiverged, Blocked(zkpaths.BlockedDiverged,
			fmt.Errorf("the source lacks transactions that are archived: %s", lacking), hintDiverged)
	}
	resume := s.End.Resume()
	if listed(s.Files, resume.File) {
		return "", nil
	}
	newest := s.Files[len(s.Files)-1].Name
	if archive.FileBefore(newest, resume.File) {
		return archive.ReasonDiverged, Blocked(zkpaths.BlockedDiverged,
			fmt.Errorf("the archive ends in %s, the source's newest file is %s", resume.File, newest), hintDiverged)
	}
	if s.End.File != resume.File && listed(s.Files, s.End.File) && provable(s.End) {
		return "", nil
	}
	if base := renamedTo(s); base != "" {
		if executedBefore(s, s.Files[0].Name) {
			return "", nil
		}
		return archive.ReasonGap, blockedRenamed(s, base)
	}
	return archive.ReasonGap, blockedPurged(s.End, s.Files[0].Name)
}

func blockedPurged(end archive.End, oldest string) error {
	return Blocked(zkpaths.BlockedPurged,
		fmt.Errorf("the source has purged what comes next, %s:%d; its oldest file is %s", end.File, end.Offset, oldest), hintPurged)
}

// provePrevious decides on a file that none before it proves, by the previous
// GTIDs that it begins with, nil when it has none; or by what the source had executed
// before it.
func provePrevious(previous *gtid.Set, s facts, file string) error {
	switch {
	case previous != nil && previous.Equal(s.End.GTIDSet), executedBefore(s, file):
		return nil
	case s.Torn:
		return blockedTorn(s.End, file)
	}
	return blockedPurged(s.End, s.Files[0].Name)
}

// newTimeline describes the timeline that begins with file, whose previous GTIDs
// are given, or nil.
func newTimeline(s facts, reason, file string, previous *gtid.Set) archive.Timeline {
	tl := archive.Timeline{
		Timeline: s.End.Timeline + 1, Flavor: s.Server.Flavor, ServerVersion: s.Server.Version, ServerUUID: s.Server.UUID,
		Reason: reason, FirstFile: file, SourceServerID: s.Server.ServerID, ServerUID: s.Server.ServerUID,
	}
	from, had := archive.Place{File: s.End.File, Position: s.End.Offset}, s.End.GTIDSet
	isGap := reason == archive.ReasonGap
	if s.End.Timeline > 0 {
		tl.Previous = s.End.Previous()
	} else {
		from, had = lost(s)
		isGap = s.Last.Timeline > 0
	}
	missing := gtid.New(s.Server.Flavor)
	if previous != nil && had != nil && had.Flavor() == s.Server.Flavor {
		missing = previous.Minus(had)
	}
	if isGap || tl.Previous != nil && !missing.IsEmpty() {
		tl.Gap = &archive.Gap{From: from, To: archive.Place{File: file}, GTIDMissing: missing.String()}
	}
	return tl
}

// lost returns how far an archive had come that is there no more, by the checkpoint. The
// set is nil when it is not known.
func lost(s facts) (archive.Place, *gtid.Set) {
	at := archive.Place{File: s.Last.File, Position: s.Last.Position}
	set, err := gtid.Parse(s.Server.Flavor, s.Last.GTIDSet)
	if err != nil || s.Last.GTIDOmitted {
		return at, nil
	}
	return at, set
}

func listed(files []source.BinlogFile, name string) bool {
	return slices.ContainsFunc(files, func(f source.BinlogFile) bool { return f.Name == name })
}

// errNoFiles says that a source lists no binlog file, which a server that writes
// one never does.
var errNoFiles = errors.New("the source lists no binlog file")

// shorter reports whether the source's files end before offset in file.
func shorter(files []source.BinlogFile, file string, offset int64) bool {
	for _, f := range files {
		if f.Name == file {
			return size(f) < offset
		}
	}
	return len(files) > 0 && archive.FileBefore(files[len(files)-1].Name, file) && offset > 0
}

// size is the number of bytes that the stream has of f.
func size(f source.BinlogFile) int64 {
	if f.Encrypted {
		return f.Size - binlog.EncryptionHeaderSize
	}
	return f.Size
}

// behind returns how many bytes of the source's files come after offset in file.
func behind(files []source.BinlogFile, file string, offset int64) int64 {
	var sum int64
	for _, f := range files {
		switch {
		case f.Name == file:
			sum += max(0, size(f)-offset)
		case archive.FileBefore(file, f.Name):
			sum += size(f)
		}
	}
	return sum
}
