package dump

import (
	"strings"
	"testing"

	"binkeeper/archive"
	"binkeeper/internal/failure"
	"binkeeper/zkpaths"
)

// closedFor makes s one in which an earlier primary has closed the timeline and got no
// further.
func closedFor(s *facts, reason, server string) {
	s.End.Closed, s.End.Last.ClosesTimeline = true, true
	s.End.Last.ClosesReason, s.End.Last.ClosesServer = reason, server
}

func TestJudgeClosed(t *testing.T) {
	purge := func(s *facts) { s.Files = files("mysql-bin.000003") }
	rollBack := func(s *facts) { s.Server.Executed = mysqlSet(t, uuidA+":1-8") }
	swap := func(s *facts) { s.Server.UUID = uuidB }
	healthy := func(*facts) {}
	const gap, anew = zkpaths.AcceptGap, zkpaths.AcceptNewTimeline
	tests := []struct {
		name           string
		reason, server string // for which the timeline was closed
		now            func(*facts)
		answer         string // with the reason and server that it was given for; "": none
		to, seen       string
		begins         string
		blocked        string
	}{
		{"as intended: a gap", archive.ReasonGap, uuidA, purge, gap, zkpaths.BlockedPurged, uuidA, archive.ReasonGap, ""},
		{"as intended: diverged", archive.ReasonDiverged, uuidA, rollBack, anew, zkpaths.BlockedDiverged, uuidA, archive.ReasonDiverged, ""},
		{"as intended: another server", archive.ReasonOtherSource, uuidB, swap, anew, zkpaths.BlockedOtherSource, uuidB, archive.ReasonOtherSource, ""},
		{"as intended, and only the stream had shown it", archive.ReasonDiverged, uuidA, healthy, anew, zkpaths.BlockedDiverged, uuidA, archive.ReasonDiverged, ""},
		{"the same, a gap", archive.ReasonGap, uuidA, healthy, gap, zkpaths.BlockedPurged, uuidA, archive.ReasonGap, ""},
		{"as intended, an answer of an earlier version", archive.ReasonOtherSource, uuidB, swap, anew, "", "", archive.ReasonOtherSource, ""},

		{"as intended, without an answer", archive.ReasonGap, uuidA, purge, "", "", "", "", zkpaths.BlockedPurged},
		{"the same, another server", archive.ReasonOtherSource, uuidB, swap, "", "", "", "", zkpaths.BlockedOtherSource},
		{"the same, only the stream had shown it", archive.ReasonDiverged, uuidA, healthy, "", "", "", "", zkpaths.BlockedDiverged},
		{"as intended, the wrong answer", archive.ReasonGap, uuidA, purge, anew, zkpaths.BlockedDiverged, uuidA, "", zkpaths.BlockedPurged},

		{"for another server, and the healthy first one answers", archive.ReasonOtherSource, uuidB, healthy, anew, zkpaths.BlockedOtherSource, uuidB, "", zkpaths.BlockedClosed},
		{"the same, an answer of an earlier version", archive.ReasonOtherSource, uuidB, healthy, anew, "", "", "", zkpaths.BlockedClosed},
		{"the same, and the answer is for it", archive.ReasonOtherSource, uuidB, healthy, anew, zkpaths.BlockedClosed, uuidA, archive.ReasonClosed, ""},
		{"the same, and the answer is for another", archive.ReasonOtherSource, uuidB, healthy, anew, zkpaths.BlockedClosed, uuidB, "", zkpaths.BlockedClosed},
		{"for a gap, and another server answers", archive.ReasonGap, uuidA, swap, gap, zkpaths.BlockedPurged, uuidA, "", zkpaths.BlockedClosed},
		{"the same, and the answer is for that", archive.ReasonGap, uuidA, swap, anew, zkpaths.BlockedClosed, uuidB, archive.ReasonOtherSource, ""},
		{"for another server, and the first one has diverged, as was accepted before", archive.ReasonOtherSource, uuidB, rollBack, anew, zkpaths.BlockedDiverged, uuidA, "", zkpaths.BlockedClosed},
		{"the same, accepted since", archive.ReasonOtherSource, uuidB, rollBack, anew, zkpaths.BlockedClosed, uuidA, archive.ReasonDiverged, ""},
		{"for what a later version knows", "later", uuidA, healthy, anew, "", "", "", zkpaths.BlockedClosed},

		{"by an earlier version", "", "", healthy, anew, zkpaths.BlockedDiverged, uuidA, "", zkpaths.BlockedClosed},
		{"by an earlier version, and purged", "", "", purge, gap, zkpaths.BlockedPurged, uuidA, "", zkpaths.BlockedClosed},
		{"by an earlier version, answered", "", "", purge, anew, zkpaths.BlockedClosed, uuidA, archive.ReasonGap, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := archived(t)
			tt.now(&s)
			closedFor(&s, tt.reason, tt.server)
			if tt.answer != "" {
				acceptFor(&s, tt.answer, tt.to, tt.seen)
			}
			got, err := planFor(s)
			reason := ""
			if IsBlocked(err) {
				reason = classify(err).Reason
			}
			if reason != tt.blocked || got.Begin != tt.begins {
				t.Fatalf("begins %q, err %v (%q); want %q, blocked %q", got.Begin, err, reason, tt.begins, tt.blocked)
			}
			switch {
			case err == nil && (got.Start.File != s.Files[0].Name || got.Start.Overlap != nil || got.MatchPrevious):
				t.Errorf("a new timeline begins with %+v, want the oldest file", got)
			case err != nil && failure.Hint(err) == "":
				t.Error("a blocked task without a hint")
			case reason == zkpaths.BlockedClosed && tt.server != "" && !strings.Contains(err.Error(), tt.server):
				t.Errorf("%q does not name the server that was intended", err)
			}
		})
	}
}

// A closed timeline of which the stream has shown, in this term, that it is not
// continued.
func TestJudgeClosedAfterTheStream(t *testing.T) {
	s := archived(t)
	s.Found = archive.ReasonDiverged
	closedFor(&s, archive.ReasonOtherSource, uuidB)
	if _, err := planFor(s); err == nil || classify(err).Reason != zkpaths.BlockedClosed || strings.Contains(err.Error(), "may well") {
		t.Errorf("got %v", err)
	}
}
