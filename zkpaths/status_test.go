package zkpaths_test

import (
	"testing"
	"time"

	"binkeeper/zkpaths"
)

func TestSay(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	by := zkpaths.Place{Name: "server_1_0000000000", ServerID: "1"}
	fresh := zkpaths.NewStatus(began)
	starting := fresh.Say(zkpaths.StateStarting, by, 1, began.Add(time.Second), "", "", "")
	again := starting.Say(zkpaths.StateStarting, by, 1, began.Add(2*time.Second), "source", "connection refused", "start it")

	if len(fresh.Transitions) != 0 {
		t.Errorf("Say has changed what it was said of: %+v", fresh)
	}
	if got, want := again.Since, zkpaths.At(began.Add(time.Second)); got != want {
		t.Errorf("since %v, want %v: the state is the same", got, want)
	}
	if len(again.Transitions) != 1 || again.Changes != 1 {
		t.Errorf("transitions %+v, want one", again.Transitions)
	}
	want := zkpaths.Transition{At: zkpaths.At(began.Add(time.Second)), From: "stopped", To: "starting", Term: 1, ServerID: "1"}
	if got := again.Transitions[0]; got != want {
		t.Errorf("transition %+v, want %+v", got, want)
	}
	if again.Reason != "source" || again.Instance != by.Name || again.UpdatedAt != zkpaths.At(began.Add(2*time.Second)) {
		t.Errorf("status %+v", again)
	}
}

func TestSayRemembersTheLastTransitions(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	status := zkpaths.NewStatus(at)
	states := []string{zkpaths.StateStarting, zkpaths.StateRunning}
	for i := range 20 {
		status = status.Say(states[i%2], zkpaths.Place{}, int64(i), at, "", "", "")
	}
	if len(status.Transitions) != zkpaths.MaxTransitions || status.Changes != 20 {
		t.Errorf("%d transitions of %d changes, want %d of 20", len(status.Transitions), status.Changes, zkpaths.MaxTransitions)
	}
	if first := status.Transitions[0].Term; first != 4 {
		t.Errorf("the oldest is of term %d, want 4", first)
	}
}

func TestMargin(t *testing.T) {
	tests := []struct {
		payload string
		want    zkpaths.Margin
	}{
		{`{"format":1}`, zkpaths.Margin{}},
		{`{"format":1,"purge_margin_files":-1}`, zkpaths.Margin{}},
		{`{"format":1,"purge_margin_files":0}`, zkpaths.Margin{Known: true}},
		{`{"format":1,"purge_margin_files":7}`, zkpaths.Margin{Files: 7, Known: true}},
	}
	for _, test := range tests {
		var status, again zkpaths.Status
		if err := zkpaths.Decode("/status", []byte(test.payload), &status); err != nil {
			t.Fatal(err)
		}
		if status.PurgeMargin != test.want {
			t.Errorf("%s: got %+v, want %+v", test.payload, status.PurgeMargin, test.want)
		}
		data, err := zkpaths.Encode("/status", &status)
		if err == nil {
			err = zkpaths.Decode("/status", data, &again)
		}
		if err != nil || again.PurgeMargin != test.want {
			t.Errorf("%s: encoded as %s and read as %+v, %v", test.payload, data, again.PurgeMargin, err)
		}
	}
}

func validSpec() zkpaths.Spec {
	return zkpaths.Spec{
		Source: "mysql://u@h:3306", Archive: "file:///archive", Start: "earliest", SegmentSize: 8 << 20,
		FlushInterval: zkpaths.Duration(time.Second), CheckpointInterval: zkpaths.Duration(time.Second), Desired: zkpaths.Running,
	}
}

func TestSpecCheck(t *testing.T) {
	tests := map[string]struct {
		change func(*zkpaths.Spec)
		ok     bool
	}{
		"good":             {func(*zkpaths.Spec) {}, true},
		"paused":           {func(s *zkpaths.Spec) { s.Desired = zkpaths.Paused }, true},
		"no source":        {func(s *zkpaths.Spec) { s.Source = "" }, false},
		"no archive":       {func(s *zkpaths.Spec) { s.Archive = "" }, false},
		"no start":         {func(s *zkpaths.Spec) { s.Start = "" }, false},
		"small segment":    {func(s *zkpaths.Spec) { s.SegmentSize = zkpaths.MinSegmentSize - 1 }, false},
		"large segment":    {func(s *zkpaths.Spec) { s.SegmentSize = zkpaths.MaxSegmentSize + 1 }, false},
		"short flush":      {func(s *zkpaths.Spec) { s.FlushInterval = 1 }, false},
		"long flush":       {func(s *zkpaths.Spec) { s.FlushInterval = zkpaths.Duration(2 * time.Hour) }, false},
		"short checkpoint": {func(s *zkpaths.Spec) { s.CheckpointInterval = 0 }, false},
		"unknown desired":  {func(s *zkpaths.Spec) { s.Desired = "stopped" }, false},
	}
	for name, test := range tests {
		spec := validSpec()
		test.change(&spec)
		if err := spec.Check(); (err == nil) != test.ok {
			t.Errorf("%s: %v, want ok %v", name, err, test.ok)
		}
	}
}

func TestAnswers(t *testing.T) {
	last := zkpaths.LastCommit{Timeline: 1, File: "mysql-bin.000003", Position: 400}
	older := zkpaths.Accept{Answer: zkpaths.AcceptNewTimeline, Timeline: 1, File: "mysql-bin.000003", Position: 400}
	answer := older
	answer.Reason, answer.Server = zkpaths.BlockedDiverged, "a"
	moved := last
	moved.Position++
	tests := map[string]struct {
		accept                 *zkpaths.Accept
		answer, reason, server string
		last                   zkpaths.LastCommit
		want                   bool
	}{
		"given":                         {&answer, zkpaths.AcceptNewTimeline, zkpaths.BlockedDiverged, "a", last, true},
		"none":                          {nil, zkpaths.AcceptNewTimeline, zkpaths.BlockedDiverged, "a", last, false},
		"another answer":                {&answer, zkpaths.AcceptGap, zkpaths.BlockedDiverged, "a", last, false},
		"checkpoint gone":               {&answer, zkpaths.AcceptNewTimeline, zkpaths.BlockedDiverged, "a", moved, false},
		"another reason":                {&answer, zkpaths.AcceptNewTimeline, zkpaths.BlockedOtherSource, "a", last, false},
		"another server":                {&answer, zkpaths.AcceptNewTimeline, zkpaths.BlockedDiverged, "b", last, false},
		"an earlier version's":          {&older, zkpaths.AcceptNewTimeline, zkpaths.BlockedOtherSource, "b", last, true},
		"an earlier version's, another": {&older, zkpaths.AcceptGap, zkpaths.BlockedPurged, "b", last, false},
	}
	for name, test := range tests {
		if got := test.accept.Answers(test.answer, test.reason, test.server, test.last); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// The server that was seen is part of the question that a blocked task asks, and of no
// other state.
func TestSeenServer(t *testing.T) {
	by, at := zkpaths.Place{Name: "server_1_0000000000", ServerID: "1"}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	status := zkpaths.NewStatus(at).Say(zkpaths.StateBlocked, by, 1, at, zkpaths.BlockedOtherSource, "", "")
	status.SeenServer = "a"
	if again := status.Say(zkpaths.StateBlocked, by, 1, at, zkpaths.BlockedOtherSource, "", ""); again.SeenServer != "a" {
		t.Errorf("said again, it names %q", again.SeenServer)
	}
	if over := status.Say(zkpaths.StateRunning, by, 1, at, "", "", ""); over.SeenServer != "" {
		t.Errorf("when it is over, it names %q", over.SeenServer)
	}
}
