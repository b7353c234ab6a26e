package dump

import (
	"errors"
	"fmt"
	"testing"

	"binkeeper/archive"
	"binkeeper/internal/binlog"
	"binkeeper/internal/gtid"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

const (
	uuidA = "11111111-1111-1111-1111-111111111111"
	uuidB = "22222222-2222-2222-2222-222222222222"
)

func mysqlSet(t *testing.T, text string) *gtid.Set {
	t.Helper()
	set, err := gtid.Parse(gtid.MySQL, text)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func files(names ...string) []source.BinlogFile {
	list := make([]source.BinlogFile, len(names))
	for i, name := range names {
		list[i] = source.BinlogFile{Name: name, Size: 1000}
	}
	return list
}

// archived is a facts in which mysql-bin.000002 is archived up to 700 and the
// source goes on from there.
func archived(t *testing.T) facts {
	return facts{
		End: archive.End{
			Timeline: 1, File: "mysql-bin.000002", Offset: 700, HasLast: true, GTIDSet: mysqlSet(t, uuidA+":1-9"),
			Last: archive.Meta{File: "mysql-bin.000002", Start: 500, End: 700, OverlapStart: 600, OverlapHash: "0123456789abcdef",
				GTIDSet: uuidA + ":9", LastTransactionEnd: 700},
		},
		Timeline: archive.Timeline{Timeline: 1, Flavor: gtid.MySQL, ServerUUID: uuidA},
		Last:     zkpaths.LastCommit{Timeline: 1, File: "mysql-bin.000002", Position: 700},
		Spec:     zkpaths.Spec{Start: "earliest", Source: "mysql://u@db:3306"},
		Server:   source.Server{Flavor: gtid.MySQL, UUID: uuidA, Executed: mysqlSet(t, uuidA+":1-20")},
		Files:    files("mysql-bin.000001", "mysql-bin.000002", "mysql-bin.000003"),
	}
}

// renamed makes s one of a source whose files have another base name; all that it executed before is archived.
func renamed(s *facts) {
	s.Files = files("other-bin.000001", "other-bin.000002")
	s.Server.GTIDMode, s.Server.Purged = "ON", s.End.GTIDSet
}

// ofMariaDB makes s one of a MariaDB whose only domain has gone back: 0-1-9 is archived.
func ofMariaDB(s *facts) {
	s.Timeline.Flavor, s.Server.Flavor = gtid.MariaDB, gtid.MariaDB
	s.End.GTIDSet, s.Server.Executed = gtid.New(gtid.MariaDB), gtid.New(gtid.MariaDB)
	s.End.GTIDSet.AddMariaDB(0, 1, 9)
	s.Server.Executed.AddMariaDB(0, 1, 3)
}

// atFileEnd makes s one in which mysql-bin.000002 is archived whole.
func atFileEnd(s *facts) {
	s.End.File, s.End.Offset = "mysql-bin.000003", 0
	s.End.Last.EndsFile, s.End.Last.NextFile = true, "mysql-bin.000003"
}

// accept answers as an earlier version does, to no reason in particular.
func accept(s *facts, answer string) {
	s.Spec.Accept = &zkpaths.Accept{Answer: answer, Timeline: s.Last.Timeline, File: s.Last.File, Position: s.Last.Position}
}

// acceptFor answers a block for reason, with the given server behind the address.
func acceptFor(s *facts, answer, reason, server string) {
	accept(s, answer)
	s.Spec.Accept.Reason, s.Spec.Accept.Server = reason, server
}

func TestJudge(t *testing.T) {
	resumed := binlog.Start{File: "mysql-bin.000002", Overlap: &binlog.Overlap{From: 600, To: 700, Hash: "0123456789abcdef"}}
	tests := []struct {
		name    string
		change  func(*facts)
		want    plan
		blocked string
	}{
		{name: "goes on", change: func(*facts) {}, want: plan{Start: resumed}},
		{name: "empty archive, earliest", change: func(s *facts) { s.End = archive.End{} },
			want: plan{Start: binlog.Start{File: "mysql-bin.000001"}, Begin: archive.ReasonFirst}},
		{name: "empty archive, current", change: func(s *facts) { s.End = archive.End{}; s.Spec.Start = "current" },
			want: plan{Start: binlog.Start{File: "mysql-bin.000003"}, Begin: archive.ReasonFirst}},
		{name: "empty archive, a file", change: func(s *facts) { s.End = archive.End{}; s.Spec.Start = "mysql-bin.000002" },
			want: plan{Start: binlog.Start{File: "mysql-bin.000002"}, Begin: archive.ReasonFirst}},
		{name: "empty archive, a file that is gone", change: func(s *facts) { s.End = archive.End{}; s.Spec.Start = "mysql-bin.000000" },
			blocked: zkpaths.BlockedPurged},
		{name: "timeline without segments", change: func(s *facts) {
			s.End = archive.End{Timeline: 1, File: "mysql-bin.000002", GTIDSet: gtid.New(gtid.MySQL)}
		}, want: plan{Start: binlog.Start{File: "mysql-bin.000002"}}},

		{name: "another server", change: func(s *facts) { s.Server.UUID = uuidB }, blocked: zkpaths.BlockedOtherSource},
		{name: "another server, accepted", change: func(s *facts) { s.Server.UUID = uuidB; accept(s, zkpaths.AcceptNewTimeline) },
			want: plan{Start: binlog.Start{File: "mysql-bin.000001"}, Begin: archive.ReasonOtherSource}},
		{name: "another server, the wrong answer", change: func(s *facts) { s.Server.UUID = uuidB; accept(s, zkpaths.AcceptGap) },
			blocked: zkpaths.BlockedOtherSource},
		{name: "another server, accepted by its name", change: func(s *facts) {
			s.Server.UUID = uuidB
			acceptFor(s, zkpaths.AcceptNewTimeline, zkpaths.BlockedOtherSource, uuidB)
		}, want: plan{Start: binlog.Start{File: "mysql-bin.000001"}, Begin: archive.ReasonOtherSource}},
		{name: "a third server, when another one was accepted", change: func(s *facts) {
			s.Server.UUID = "33333333-3333-3333-3333-333333333333"
			acceptFor(s, zkpaths.AcceptNewTimeline, zkpaths.BlockedOtherSource, uuidB)
		}, blocked: zkpaths.BlockedOtherSource},
		{name: "another server, when its own divergence was accepted", change: func(s *facts) {
			s.Server.UUID = uuidB
			acceptFor(s, zkpaths.AcceptNewTimeline, zkpaths.BlockedDiverged, uuidA)
		}, blocked: zkpaths.BlockedOtherSource},
		{name: "another flavor", change: func(s *facts) { s.Server.Flavor = gtid.MariaDB }, blocked: zkpaths.BlockedOtherSource},

		{name: "transactions lost", change: func(s *facts) { s.Server.Executed = mysqlSet(t, uuidA+":1-8") }, blocked: zkpaths.BlockedDiverged},
		{name: "transactions lost, accepted", change: func(s *facts) {
			s.Server.Executed = mysqlSet(t, uuidA+":1-8")
			accept(s, zkpaths.AcceptNewTimeline)
		}, want: plan{Start: binlog.Start{File: "mysql-bin.000001"}, Begin: archive.ReasonDiverged}},
		{name: "an answer to an earlier block", change: func(s *facts) {
			s.Server.Executed = mysqlSet(t, uuidA+":1-8")
			accept(s, zkpaths.AcceptNewTimeline)
			s.Last.Position = 750
		}, blocked: zkpaths.BlockedDiverged},
		{name: "transactions lost, when another server was accepted", change: func(s *facts) {
			s.Server.Executed = mysqlSet(t, uuidA+":1-8")
			acceptFor(s, zkpaths.AcceptNewTimeline, zkpaths.BlockedOtherSource, uuidB)
		}, blocked: zkpaths.BlockedDiverged},
		{name: "found in the stream, accepted", change: func(s *facts) {
			s.Found = archive.ReasonDiverged
			acceptFor(s, zkpaths.AcceptNewTimeline, zkpaths.BlockedDiverged, uuidA)
		}, want: plan{Start: binlog.Start{File: "mysql-bin.000001"}, Begin: archive.ReasonDiverged}},
		{name: "files lost", change: func(s *facts) { s.Files = files("mysql-bin.000001") }, blocked: zkpaths.BlockedDiverged},

		{name: "a MariaDB domain went back: the overlap decides", change: ofMariaDB, want: plan{Start: resumed}},
		{name: "the same at a file's end, that file purged: the GTID list decides", change: func(s *facts) {
			ofMariaDB(s)
			atFileEnd(s)
			s.Files = files("mysql-bin.000003")
		}, want: plan{Start: binlog.Start{File: "mysql-bin.000003"}, MatchPrevious: true}},
		{name: "the same, and files lost", change: func(s *facts) { ofMariaDB(s); s.Files = files("mysql-bin.000001") }, blocked: zkpaths.BlockedDiverged},

		{name: "purged", change: func(s *facts) { s.Files = files("mysql-bin.000003") }, blocked: zkpaths.BlockedPurged},
		{name: "purged, accepted", change: func(s *facts) { s.Files = files("mysql-bin.000003"); accept(s, zkpaths.AcceptGap) },
			want: plan{Start: binlog.Start{File: "mysql-bin.000003"}, Begin: archive.ReasonGap}},
		{name: "purged, the wrong answer", change: func(s *facts) {
			s.Files = files("mysql-bin.000003")
			accept(s, zkpaths.AcceptNewTimeline)
		}, blocked: zkpaths.BlockedPurged},

		{name: "at a file's end: proven in the file before", change: atFileEnd, want: plan{Start: binlog.Start{
			File: "mysql-bin.000002", Overlap: &binlog.Overlap{From: 600, To: 700, Hash: "0123456789abcdef", NextFile: "mysql-bin.000003"}}}},
		{name: "at a file's end, that file purged: proven by the previous GTIDs", change: func(s *facts) { atFileEnd(s); s.Files = files("mysql-bin.000003") },
			want: plan{Start: binlog.Start{File: "mysql-bin.000003"}, MatchPrevious: true}},
		{name: "the same without GTIDs: no proof", change: func(s *facts) {
			atFileEnd(s)
			s.Files = files("mysql-bin.000003")
			s.End.GTIDSet = gtid.New(gtid.MySQL)
		}, blocked: zkpaths.BlockedPurged},
		{name: "at a file's end, the next one purged too", change: func(s *facts) { atFileEnd(s); s.Files = files("mysql-bin.000004") },
			blocked: zkpaths.BlockedPurged},

		{name: "renamed, all archived by then", change: renamed, want: plan{Start: binlog.Start{File: "other-bin.000001"}, MatchPrevious: true, EndsFile: true}},
		{name: "renamed at a file's end", change: func(s *facts) { atFileEnd(s); renamed(s) },
			want: plan{Start: binlog.Start{File: "other-bin.000001"}, MatchPrevious: true, EndsFile: true}},
		{name: "renamed, and ended by an earlier primary", change: func(s *facts) {
			renamed(s)
			s.End.File, s.End.Offset = "other-bin.000001", 0
			s.End.Last.EndsFile, s.End.Last.NextFile = true, "other-bin.000001"
		}, want: plan{Start: binlog.Start{File: "other-bin.000001"}, MatchPrevious: true}},
		{name: "renamed, and more was executed before", change: func(s *facts) { renamed(s); s.Server.Purged = mysqlSet(t, uuidA+":1-10") },
			blocked: zkpaths.BlockedPurged},
		{name: "renamed, and some transactions have no GTID", change: func(s *facts) { renamed(s); s.Server.GTIDMode = "ON_PERMISSIVE" },
			blocked: zkpaths.BlockedPurged},
		{name: "renamed, and the last archived transaction has no GTID", change: func(s *facts) { renamed(s); s.End.Last.GTIDSet = "" },
			blocked: zkpaths.BlockedPurged},
		{name: "renamed, without GTIDs", change: func(s *facts) {
			renamed(s)
			s.End.GTIDSet, s.Server.Purged, s.Server.GTIDMode = mysqlSet(t, ""), mysqlSet(t, ""), "OFF"
		}, blocked: zkpaths.BlockedPurged},
		{name: "renamed, accepted", change: func(s *facts) { renamed(s); s.Server.Purged = mysqlSet(t, uuidA+":1-10"); accept(s, zkpaths.AcceptGap) },
			want: plan{Start: binlog.Start{File: "other-bin.000001"}, Begin: archive.ReasonGap}},

		{name: "torn", change: func(s *facts) { s.Torn = true },
			want: plan{Start: binlog.Start{File: "mysql-bin.000003"}, MatchPrevious: true, EndsFile: true}},
		{name: "torn, and ended by an earlier primary", change: func(s *facts) { atFileEnd(s); s.Torn = true },
			want: plan{Start: binlog.Start{File: "mysql-bin.000003"}, MatchPrevious: true}},
		{name: "torn, and nothing follows", change: func(s *facts) { s.Torn = true; s.Files = files("mysql-bin.000001", "mysql-bin.000002") },
			blocked: zkpaths.BlockedTorn},
		{name: "torn, without GTIDs", change: func(s *facts) { s.Torn = true; s.End.GTIDSet = gtid.New(gtid.MySQL) },
			blocked: zkpaths.BlockedTorn},
		{name: "torn, and transactions lost", change: func(s *facts) { s.Torn = true; s.Server.Executed = mysqlSet(t, uuidA+":1-8") },
			blocked: zkpaths.BlockedDiverged},
		{name: "torn, and purged by then", change: func(s *facts) { s.Torn = true; s.Files = files("mysql-bin.000003") },
			blocked: zkpaths.BlockedPurged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := archived(t)
			tt.change(&s)
			got, err := planFor(s)
			var b *BlockedError
			if errors.As(err, &b) != (tt.blocked != "") || b != nil && b.Reason != tt.blocked {
				t.Fatalf("err = %v, want blocked %q", err, tt.blocked)
			}
			if b != nil && b.Hint() == "" {
				t.Error("a blocked task without a hint")
			}
			checkPlan(t, got, tt.want)
		})
	}
}

func checkPlan(t *testing.T, got, want plan) {
	t.Helper()
	if got.Begin != want.Begin || got.MatchPrevious != want.MatchPrevious || got.EndsFile != want.EndsFile || got.Start.File != want.Start.File {
		t.Errorf("got %+v, want %+v", got, want)
	}
	a, b := got.Start.Overlap, want.Start.Overlap
	if (a == nil) != (b == nil) || a != nil && *a != *b {
		t.Errorf("overlap %+v, want %+v", a, b)
	}
}

func TestOtherServer(t *testing.T) {
	mariadb := archive.Timeline{Flavor: gtid.MariaDB, SourceServerID: 5, ServerUID: "abc"}
	tests := []struct {
		name string
		tl   archive.Timeline
		now  source.Server
		same bool
	}{
		{"MySQL, same", archive.Timeline{Flavor: gtid.MySQL, ServerUUID: uuidA}, source.Server{Flavor: gtid.MySQL, UUID: uuidA, ServerID: 7}, true},
		{"MySQL, other", archive.Timeline{Flavor: gtid.MySQL, ServerUUID: uuidA}, source.Server{Flavor: gtid.MySQL, UUID: uuidB}, false},
		{"MariaDB, same", mariadb, source.Server{Flavor: gtid.MariaDB, ServerID: 5, ServerUID: "abc"}, true},
		{"MariaDB, other id", mariadb, source.Server{Flavor: gtid.MariaDB, ServerID: 6, ServerUID: "abc"}, false},
		{"MariaDB, other uid", mariadb, source.Server{Flavor: gtid.MariaDB, ServerID: 5, ServerUID: "abd"}, false},
		{"MariaDB without a uid", mariadb, source.Server{Flavor: gtid.MariaDB, ServerID: 5}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.now.Identity().Differs(tt.tl.Server()); (got == "") != tt.same {
				t.Errorf("got %q, want same = %v", got, tt.same)
			}
		})
	}
}

func TestNewTimeline(t *testing.T) {
	s := archived(t)
	purged := newTimeline(s, archive.ReasonGap, "mysql-bin.000005", mysqlSet(t, uuidA+":1-15"))
	if purged.Timeline != 2 || purged.Gap == nil || purged.Gap.GTIDMissing != uuidA+":10-15" ||
		purged.Gap.From != (archive.Place{File: "mysql-bin.000002", Position: 700}) || purged.Gap.To.File != "mysql-bin.000005" {
		t.Errorf("after a purge: %+v, gap %+v", purged, purged.Gap)
	}
	if p := purged.Previous; p == nil || *p != *s.End.Previous() {
		t.Errorf("previous = %+v, want the archive's end", p)
	}
	whole := newTimeline(s, archive.ReasonDiverged, "mysql-bin.000001", mysqlSet(t, ""))
	if whole.Gap != nil {
		t.Errorf("nothing is missing before the new history's first file, but gap = %+v", whole.Gap)
	}
	s.End, s.Last = archive.End{}, zkpaths.LastCommit{}
	if first := newTimeline(s, archive.ReasonFirst, "mysql-bin.000001", mysqlSet(t, uuidA+":1-5")); first.Timeline != 1 || first.Previous != nil || first.Gap != nil {
		t.Errorf("first timeline: %+v", first)
	}
	// The archive is lost, and begun again.
	s.Last = zkpaths.LastCommit{Timeline: 3, File: "mysql-bin.000002", Position: 700, GTIDSet: uuidA + ":1-9"}
	again := newTimeline(s, archive.ReasonFirst, "mysql-bin.000005", mysqlSet(t, uuidA+":1-15"))
	want := archive.Gap{From: archive.Place{File: "mysql-bin.000002", Position: 700}, To: archive.Place{File: "mysql-bin.000005"}, GTIDMissing: uuidA + ":10-15"}
	if again.Timeline != 1 || again.Previous != nil || again.Gap == nil || *again.Gap != want {
		t.Errorf("first timeline after one that is lost: %+v, gap %+v, want %+v", again, again.Gap, want)
	}
	s.Last.GTIDSet, s.Last.GTIDOmitted, want.GTIDMissing = "", true, ""
	if again := newTimeline(s, archive.ReasonFirst, "mysql-bin.000005", mysqlSet(t, uuidA+":1-15")); again.Gap == nil || *again.Gap != want {
		t.Errorf("the same with a set that is not known: gap %+v, want %+v", again.Gap, want)
	}
}

// What came before a file is proven by its previous GTIDs, or by what the source says it executed before it.
func TestJudgePrevious(t *testing.T) {
	tests := []struct {
		name     string
		previous string
		change   func(*facts)
		proven   bool
	}{
		{"equal", uuidA + ":1-9", func(*facts) {}, true},
		{"more", uuidA + ":1-10", func(*facts) {}, false},
		{"less", uuidA + ":1-8", func(*facts) {}, false},
		{"empty, the first of a new base name", "", renamed, true},
		{"empty, and more was executed before", "", func(s *facts) { renamed(s); s.Server.Purged = mysqlSet(t, uuidA+":1-10") }, false},
		{"empty, not the first", "", func(s *facts) { renamed(s); s.Files = files("other-bin.000000", "other-bin.000001") }, false},
	}
	for _, tt := range tests {
		s := archived(t)
		tt.change(&s)
		if err := provePrevious(mysqlSet(t, tt.previous), s, "other-bin.000001"); (err == nil) != tt.proven {
			t.Errorf("%s: %v, want proven: %v", tt.name, err, tt.proven)
		}
	}
}

func TestShorter(t *testing.T) {
	list := []source.BinlogFile{{Name: "b.000009", Size: 100}, {Name: "b.000010", Size: 812, Encrypted: true}}
	tests := []struct {
		file   string
		offset int64
		want   bool
	}{
		{"b.000009", 100, false},
		{"b.000009", 101, true},
		{"b.000010", 300, false},
		{"b.000010", 301, true},
		{"b.000011", 0, false}, // the next file, which the list is too old to know
		{"b.000011", 4, true},
		{"b.000008", 999, false}, // purged
	}
	for _, tt := range tests {
		if got := shorter(list, tt.file, tt.offset); got != tt.want {
			t.Errorf("shorter(%s, %d) = %v, want %v", tt.file, tt.offset, got, tt.want)
		}
	}
}

func TestBehind(t *testing.T) {
	list := []source.BinlogFile{{Name: "b.000009", Size: 100}, {Name: "b.000010", Size: 300}, {Name: "b.000011", Size: 812, Encrypted: true}}
	tests := []struct {
		file   string
		offset int64
		want   int64
	}{
		{"b.000009", 40, 60 + 300 + 300},
		{"b.000010", 0, 300 + 300},
		{"b.000010", 350, 300}, // the list is older than the archive
		{"b.000011", 300, 0},
		{"b.000012", 0, 0},
	}
	for _, tt := range tests {
		if got := behind(list, tt.file, tt.offset); got != tt.want {
			t.Errorf("behind(%s, %d) = %d, want %d", tt.file, tt.offset, got, tt.want)
		}
	}
}

// A torn file is gone on from, and a file that is to prove that by its head, and is torn
// in it, blocks the task.
func TestTornHead(t *testing.T) {
	err := fmt.Errorf("read mysql-bin.000002 after offset 0: %w", source.ErrTorn)
	for _, test := range []struct {
		name string
		dump *Dump
		want Ending
	}{
		{"the file in which the archive ends", &Dump{}, Ending{Kind: EndedTorn, Reason: ReasonSource, TornHere: true}},
		{"the one behind it", &Dump{cfg: Config{Before: Before{Torn: true}}}, Ending{Kind: EndedBlocked, Reason: zkpaths.BlockedTorn}},
	} {
		test.dump.progress, test.dump.err = NewProgress(), err
		test.want.Err, test.want.Detail, test.want.Hint = err, err.Error(), hintUnreadable
		if got := test.dump.Ending(); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

// A dump that has come to what only an operator can decide proves nothing by being open: the task is not running in between.
func TestBlockedInMidStream(t *testing.T) {
	err := fmt.Errorf("read mysql-bin.000002: %w", &source.GTIDModeError{Mode: "ON", Message: "m"})
	d := &Dump{progress: NewProgress(), err: err}
	e := d.Ending()
	if e.Kind != EndedBlocked || e.Reason != zkpaths.BlockedGTIDMode || e.Hint == "" {
		t.Errorf("ending %+v", e)
	}
	if e.Disproved {
		t.Error("disproved before it was open")
	}
	d.progress.opened()
	if !d.Ending().Disproved {
		t.Error("not disproved by the first event")
	}
	d.progress.came()
	if !d.Ending().Disproved {
		t.Error("not disproved after some events")
	}
}

// A fault in what the source sends may have come about on the way. At the same place on two connections it is the file's.
func TestJudgeCorrupt(t *testing.T) {
	fault := func(file string, offset int64) *source.CorruptError {
		return &source.CorruptError{File: file, Offset: offset, Problem: "the checksum does not fit"}
	}
	tests := []struct {
		name        string
		now, before error
		kind        EndKind
		reason      string
	}{
		{"the first time", fault("f.1", 100), nil, EndedByTrouble, ReasonSource},
		{"once more", fault("f.1", 100), fault("f.1", 100), EndedBlocked, zkpaths.BlockedSourceCorrupt},
		{"elsewhere in the file", fault("f.1", 100), fault("f.1", 90), EndedByTrouble, ReasonSource},
		{"in another file", fault("f.1", 100), fault("f.2", 100), EndedByTrouble, ReasonSource},
		{"after something else", fault("f.1", 100), errors.New("connection reset"), EndedByTrouble, ReasonSource},
		{"something else after it", errors.New("connection reset"), fault("f.1", 100), EndedByTrouble, ReasonSource},
		{"in an overlap: that differs", fmt.Errorf("%w: %w", source.ErrDiffers, fault("f.1", 100)), fault("f.1", 100), EndedBlocked, zkpaths.BlockedDiverged},
	}
	for _, tt := range tests {
		d := &Dump{progress: NewProgress(), cfg: Config{Before: Before{Corrupt: corruptIn(tt.before)}}, err: fmt.Errorf("dump: %w", tt.now)}
		if e := d.Ending(); e.Kind != tt.kind || e.Reason != tt.reason || e.Kind == EndedBlocked && e.Hint == "" {
			t.Errorf("%s: %+v, want kind %d, reason %s", tt.name, e, tt.kind, tt.reason)
		}
	}
}
