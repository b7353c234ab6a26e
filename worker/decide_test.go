package worker

import (
	"testing"
	"time"

	"binkeeper/zkpaths"
)

func TestDecideInLine(t *testing.T) {
	standing := lineFacts{SpecKnown: true, Desired: zkpaths.Running, Joined: true, LineKnown: true, InLine: true, Connected: true}
	with := func(change func(*lineFacts)) lineFacts {
		p := standing
		change(&p)
		return p
	}
	tests := []struct {
		name string
		in   lineFacts
		want lineAction
	}{
		{"nothing known", lineFacts{Connected: true}, standBy},
		{"not in line", lineFacts{SpecKnown: true, Desired: zkpaths.Running, Connected: true}, join},
		{"not in line, paused", lineFacts{SpecKnown: true, Desired: zkpaths.Paused, Connected: true}, join},
		{"not in line, being removed", lineFacts{SpecKnown: true, Desired: zkpaths.Removed, Connected: true}, leave},
		{"not in line, removal of a vanished task", lineFacts{SpecKnown: true, Desired: zkpaths.Removed, Stands: true, Connected: true}, standBy},
		{"in line, removal of a vanished task", with(func(p *lineFacts) { p.Desired, p.Stands = zkpaths.Removed, true }), leave},
		{"not in line, task gone", lineFacts{SpecKnown: true, Gone: true, Connected: true}, standBy},
		{"standing, not first", standing, standBy},
		{"joined, line not seen yet", with(func(p *lineFacts) { p.LineKnown, p.InLine = false, false }), standBy},
		{"first", with(func(p *lineFacts) { p.First = true }), claim},
		{"first, paused: the primary says so", with(func(p *lineFacts) { p.First, p.Desired = true, zkpaths.Paused }), claim},
		{"first, disconnected", with(func(p *lineFacts) { p.First, p.Connected = true, false }), standBy},
		{"own instance gone", with(func(p *lineFacts) { p.InLine = false }), forget},
		{"task gone", with(func(p *lineFacts) { p.Gone = true }), forget},
		{"being removed", with(func(p *lineFacts) { p.Desired = zkpaths.Removed }), leave},
		{"being removed, first", with(func(p *lineFacts) { p.Desired, p.First = zkpaths.Removed, true }), leave},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := decideInLine(tt.in); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestDecideInTerm(t *testing.T) {
	dumping := termFacts{
		InLine: true, Desired: zkpaths.Running, Connected: true, Dumping: true,
		YieldAfter: defaultBounds.unreachable, LastResort: defaultBounds.lastResort,
	}
	with := func(change func(*termFacts)) termFacts {
		v := dumping
		change(&v)
		return v
	}
	tests := []struct {
		name string
		in   termFacts
		want termAction
	}{
		{"dumping", dumping, carryOn},
		{"dumping, disconnected: the archive goes on growing", with(func(v *termFacts) { v.Connected = false }), carryOn},
		{"own instance gone", with(func(v *termFacts) { v.InLine = false }), endTerm},
		{"own instance gone while the worker stops", with(func(v *termFacts) { v.InLine, v.Stopping = false, true }), endTerm},
		{"task gone", with(func(v *termFacts) { v.Gone = true }), endTerm},
		{"wedged", with(func(v *termFacts) { v.Wedged = true }), resign},
		{"worker stops", with(func(v *termFacts) { v.Stopping = true }), handOver},
		{"removed", with(func(v *termFacts) { v.Desired = zkpaths.Removed }), handOver},
		{"pause asked for", with(func(v *termFacts) { v.Desired = zkpaths.Paused }), endDump},
		{"paused", with(func(v *termFacts) { v.Desired, v.Dumping = zkpaths.Paused, false }), pause},
		{"switchover", with(func(v *termFacts) { v.SwitchAway = true }), yield},
		{"switchover, disconnected", with(func(v *termFacts) { v.SwitchAway, v.Connected = true, false }), carryOn},
		{"switchover while paused waits", with(func(v *termFacts) { v.SwitchAway, v.Desired, v.Dumping = true, zkpaths.Paused, false }), pause},
		{"spec changed", with(func(v *termFacts) { v.DumpStale = true }), endDump},
		{"no dump", with(func(v *termFacts) { v.Dumping, v.RetryDue = false, true }), beginDump},
		{"no dump, not due", with(func(v *termFacts) { v.Dumping = false }), carryOn},
		{"no dump, disconnected", with(func(v *termFacts) { v.Dumping, v.RetryDue, v.Connected = false, true, false }), carryOn},
		{"away for long, others wait", with(func(v *termFacts) {
			v.Dumping, v.Away, v.Others, v.Untried = false, defaultBounds.unreachable, true, true
		}), yield},
		{"away for long, the others are blocked", with(func(v *termFacts) { v.Dumping, v.Away, v.Others = false, defaultBounds.unreachable, true }), carryOn},
		{"away for very long, the others were blocked", with(func(v *termFacts) { v.Dumping, v.Away, v.Others = false, defaultBounds.lastResort, true }), yield},
		{"away for long, alone", with(func(v *termFacts) { v.Dumping, v.Away, v.RetryDue = false, defaultBounds.unreachable, true }), beginDump},
		{"away for a moment, others wait", with(func(v *termFacts) { v.Dumping, v.Away, v.Others, v.Untried = false, time.Second, true, true }), carryOn},
		{"blocked, another has not looked", with(func(v *termFacts) { v.Dumping, v.HandOn = false, true }), yield},
		{"the same, disconnected", with(func(v *termFacts) { v.Dumping, v.HandOn, v.Connected = false, true, false }), carryOn},
		{"the same, looking again", with(func(v *termFacts) { v.HandOn = true }), carryOn},
		{"the same, paused", with(func(v *termFacts) { v.Dumping, v.HandOn, v.Desired = false, true, zkpaths.Paused }), pause},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := decideInTerm(tt.in); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestSwitchAway(t *testing.T) {
	line, _ := zkpaths.ParseLine([]string{"server_1_0000000004", "server_2_0000000005", "server_3_0000000007"})
	tests := []struct {
		name   string
		own    int
		target string
		want   bool
	}{
		{"none asked for", 0, "", false},
		{"the next", 0, "server_2_0000000005", true},
		{"one further back", 0, "server_3_0000000007", true},
		{"this one", 0, "server_1_0000000004", false},
		{"one that is gone", 0, "server_2_0000000001", false},
		{"one before this", 1, "server_1_0000000004", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := switchAway(line, line[tt.own], tt.target); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestWatchdog(t *testing.T) {
	start := time.Unix(1000, 0)
	type look struct {
		moved   int64
		waiting bool
		at      time.Duration
	}
	tests := []struct {
		name  string
		looks []look
		want  bool
	}{
		{"first look", []look{{0, true, 0}}, false},
		{"stuck for a short while", []look{{7, true, 0}, {7, true, defaultBounds.wedge - 1}}, false},
		{"stuck for the bound", []look{{7, true, 0}, {7, true, defaultBounds.wedge}}, true},
		{"nothing to do", []look{{7, false, 0}, {7, false, 10 * defaultBounds.wedge}}, false},
		{"slow but moving", []look{{7, true, 0}, {8, true, defaultBounds.wedge}, {9, true, 2 * defaultBounds.wedge}}, false},
		{"idle, then stuck: counted from the work's coming", []look{{7, false, 0}, {7, false, defaultBounds.wedge}, {7, true, defaultBounds.wedge + 1}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w watchdog
			for _, l := range tt.looks {
				w.look(l.moved, l.waiting, start.Add(l.at), defaultBounds.wedge)
			}
			if w.wedged != tt.want {
				t.Errorf("wedged = %v, want %v", w.wedged, tt.want)
			}
		})
	}
}

func TestNextYieldAfter(t *testing.T) {
	const first = 30 * time.Second
	change := func(to string, term int64) zkpaths.Transition {
		return zkpaths.Transition{To: to, Term: term, ServerID: "2"}
	}
	inVain := []zkpaths.Transition{change(zkpaths.StateRunning, 7), change(zkpaths.StateStopped, 7), change(zkpaths.StateStarting, 8)}
	tests := []struct {
		name    string
		last    time.Duration
		yielded int64
		seen    []zkpaths.Transition
		want    time.Duration
	}{
		{"the first term", first, 0, nil, first},
		{"a switchover is no yield for want", 2 * time.Minute, 0, inVain, 2 * time.Minute},
		{"yielded, and nobody has fared better", first, 7, inVain, time.Minute},
		{"again", 4 * time.Minute, 7, inVain, 8 * time.Minute},
		{"the cap", 8 * time.Minute, 7, inVain, 10 * time.Minute},
		{"at the cap", 10 * time.Minute, 7, inVain, 10 * time.Minute},
		{"for days", 10 * time.Minute, 7, nil, 10 * time.Minute},
		{"another one was running since", 10 * time.Minute, 6, inVain, first},
		{"it was running before, not since", first, 8, inVain, time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := nextYieldAfter(tt.last, first, tt.yielded, tt.seen); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// What the operator does makes a primary look again that waits.
func TestAnswered(t *testing.T) {
	before := zkpaths.Spec{Source: "a", Desired: zkpaths.Running, ResumedAt: zkpaths.At(time.Unix(100, 0))}
	tests := []struct {
		name   string
		change func(*zkpaths.Spec)
		want   bool
	}{
		{"nothing", func(*zkpaths.Spec) {}, false},
		{"another interval", func(s *zkpaths.Spec) { s.FlushInterval++ }, false},
		{"another source", func(s *zkpaths.Spec) { s.Source = "b" }, true},
		{"an answer", func(s *zkpaths.Spec) { s.Accept = &zkpaths.Accept{Answer: zkpaths.AcceptGap} }, true},
		{"resumed again", func(s *zkpaths.Spec) { s.ResumedAt = zkpaths.At(time.Unix(200, 0)) }, true},
	}
	for _, tt := range tests {
		after := before
		tt.change(&after)
		if got := answered(before, after); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
