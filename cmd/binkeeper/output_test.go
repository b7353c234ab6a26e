package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/zkpaths"
)

// Scripts rely on every key being there, whatever the state of a task.
func TestJSONAlwaysHasAllKeys(t *testing.T) {
	row := "id state desired primary standbys source archive durable_time behind_bytes timeline file position term reason hint"
	tests := []struct {
		name  string
		value any
		path  string // of keys and list elements, to the object that is checked
		want  string
	}{
		{"task list", listOutput{Format: 1, Tasks: []taskRow{newTaskRow("x", coord.TaskView{})}}, "", "format tasks"},
		{"a task", listOutput{Format: 1, Tasks: []taskRow{newTaskRow("x", coord.TaskView{})}}, "tasks", row},
		{"task show", newTaskDetail("x", coord.TaskView{}), "", "format " + row + " detail seen_server findings spec instances last_commit transitions"},
		{"unreadable task", newTaskDetail("x", coord.TaskView{SpecErr: errors.New("bad"), LastCommitErr: errors.New("bad"), StatusErr: errors.New("bad")}), "",
			"format " + row + " detail seen_server findings spec instances last_commit transitions"},
		{"instance", newTaskDetail("x", coord.TaskView{Line: []coord.Member{{}}}), "instances", "name server_id host pid version started_at"},
		{"history", historyOutput{1, transitions(coord.TaskView{})}, "", "format transitions"},
		{"transition", historyOutput{1, []zkpaths.Transition{{}}}, "transitions", "at from to term server_id reason"},
		{"workers", newWorkersOutput(nil, nil), "", "format workers"},
		{"worker", workersOutput{1, []workerRow{{}}}, "workers", "server_id host pid cpus version listen started_at"},
		{"archive list", filesOutput{1, []archive.File{{}}}, "files", "timeline file start end stored_bytes segments sealed complete first_event_time last_event_time gtid_set"},
		{"archive verify", archive.Report{Format: 1, Problems: []archive.Problem{{}}}, "", "format ok files bytes problems"},
		{"problem", archive.Report{Format: 1, Problems: []archive.Problem{{}}}, "problems", "object offset problem"},
		{"archive export", exportOutput{Format: 1, Files: []exportedFile{{}}}, "", "format files bytes end"},
		{"exported file", exportOutput{Format: 1, Files: []exportedFile{{}}}, "files", "timeline file bytes"},
		{"export's end", exportOutput{Format: 1}, "end", "timeline file position"},
		{"outcome", outcome{}, "", "format id changed message"},
	}
	for _, tt := range tests {
		var out bytes.Buffer
		if err := writeJSON(&out, tt.value); err != nil {
			t.Fatal(err)
		}
		var object map[string]json.RawMessage
		text := out.Bytes()
		if tt.path != "" {
			if err := json.Unmarshal(text, &object); err != nil {
				t.Fatal(err)
			}
			text = object[tt.path]
			var list []json.RawMessage
			if json.Unmarshal(text, &list) == nil {
				text = list[0]
			}
		}
		object = nil
		if err := json.Unmarshal(text, &object); err != nil {
			t.Fatalf("%s: %v: %s", tt.name, err, &out)
		}
		want := strings.Fields(tt.want)
		for _, key := range want {
			if _, ok := object[key]; !ok {
				t.Errorf("%s: no key %q in %s", tt.name, key, text)
			}
		}
		for key := range object {
			if !slices.Contains(want, key) {
				t.Errorf("%s: unexpected key %q", tt.name, key)
			}
		}
		if bytes.Contains(out.Bytes(), []byte(`"standbys":null`)) || bytes.Contains(out.Bytes(), []byte(`"transitions":null`)) || bytes.Contains(out.Bytes(), []byte(`"workers":null`)) {
			t.Errorf("%s: an empty list is null: %s", tt.name, &out)
		}
	}
}

func TestTables(t *testing.T) {
	moment := zkpaths.At(time.Date(2026, 11, 20, 10, 43, 1, 0, time.UTC))
	earlier, later := moment.Add(-time.Hour), moment.Time
	tests := []struct {
		name string
		rows [][]string
		want string
	}{
		{"task list", listOutput{Tasks: []taskRow{
			{ID: "orders", State: "running", Desired: "running", Primary: "1", Standbys: []string{"2", "3"}, Source: "mysql://binkeeper@db1:3306?ssl-mode=REQUIRED",
				DurableTime: moment, BehindBytes: 1536, File: "mysql-bin.000446", Position: 19921},
			{ID: "users", Desired: "paused", Source: "://", Reason: "/tasks/users/status is unreadable: it is empty"},
		}}.rows(), `
TASK    STATE    DESIRED  PRIMARY  STANDBYS  SOURCE    DURABLE TO            BEHIND   POSITION                REASON
orders  running  running  1        2,3       db1:3306  2026-11-20T10:43:01Z  1.5 KiB  mysql-bin.000446:19921  -
users   -        paused   -        -         -         -                     0 B      -                       /tasks/users/status is unreadable: it is empty
`},
		{"history", historyOutput{Transitions: []zkpaths.Transition{
			{At: moment, From: "stopped", To: "starting", Term: 1, ServerID: "1"},
			{At: moment, From: "starting", To: "blocked", Term: 1, ServerID: "1", Reason: "purged\x1b[2J\nforged line"},
		}}.rows(), `
AT                    FROM      TO        TERM  SERVER  REASON
2026-11-20T10:43:01Z  stopped   starting  1     1       -
2026-11-20T10:43:01Z  starting  blocked   1     1       purged [2J forged line
`},
		{"workers", workersOutput{Workers: []workerRow{{"1", "db1", 42, 2, "v1", "127.0.0.1:9108", moment}, {ServerID: "2"}}}.rows(), `
SERVER  HOST  PID  CPUS  VERSION  LISTEN          STARTED
1       db1   42   2     v1       127.0.0.1:9108  2026-11-20T10:43:01Z
2       -     0    0     -        -               -
`},
		{"archive list", filesOutput{Files: []archive.File{
			{Timeline: 1, File: "mysql-bin.000001", End: 2 << 20, StoredBytes: 1 << 20, Segments: 2, Complete: true, FirstEventTime: &earlier, LastEventTime: &later},
		}}.rows(), `
TIMELINE  FILE              START  END      STORED   SEGMENTS  SEALED  COMPLETE  FIRST EVENT           LAST EVENT
1         mysql-bin.000001  0      2097152  1.0 MiB  2         no      yes       2026-11-20T09:43:01Z  2026-11-20T10:43:01Z
`},
		{"verified", verifyRows(archive.Report{OK: true, Files: 3, Bytes: 4096}), `
RESULT  FILES  BYTES
ok      3      4096
`},
		{"problems", verifyRows(archive.Report{Problems: []archive.Problem{{Object: "orders/00000001/x.000001/00000000000000000000.zst", Offset: 7, Problem: "is cut off"}}}), `
OBJECT                                             OFFSET  PROBLEM
orders/00000001/x.000001/00000000000000000000.zst  7       is cut off
`},
		{"exported", exportOutput{Files: make([]exportedFile, 2), Bytes: 99, End: exportEnd{1, "mysql-bin.000002", 33}}.rows(), `
FILES  BYTES  TIMELINE  END
2      99     1         mysql-bin.000002:33
`},
	}
	for _, tt := range tests {
		var got bytes.Buffer
		if err := writeTable(&got, tt.rows); err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimPrefix(tt.want, "\n"); got.String() != want {
			t.Errorf("%s:\n%s\nwant:\n%s", tt.name, got.String(), want)
		}
	}
}

func TestTaskShowTable(t *testing.T) {
	view := viewOf("1", zkpaths.StateRunning, "1", "2")
	view.Spec = zkpaths.Spec{Source: "mysql://u@db1", PasswordRef: "env:X", SegmentSize: 8 << 20, FlushInterval: zkpaths.Duration(time.Second)}
	detail := newTaskDetail("orders", view)
	var got bytes.Buffer
	if err := writeTable(&got, detail.rows()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"task                 orders\n", "state                running\n", "segment size         8.0 MiB\n", "instance             server_2_0000000002 on"} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("no %q in:\n%s", want, got.String())
		}
	}
}

func TestSizeForEyes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 20: "1.0 MiB", 1<<63 - 1: "8.0 EiB", -1: "-1 B"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}
