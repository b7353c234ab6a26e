package main

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"binkeeper/archive"
)

func TestExportOutput(t *testing.T) {
	var got exportOutput
	for _, p := range []archive.Progress{
		{Timeline: 1, File: "b.000001", Offset: 10, Bytes: 10},
		{Timeline: 1, File: "b.000001", Offset: 30, Bytes: 30},
		{Timeline: 1, File: "b.000002", Offset: 5, Bytes: 35},
		{Timeline: 1, File: "b.000003", Offset: 0, Bytes: 35}, // a timeline's closing segment
		{Timeline: 2, File: "b.000001", Offset: 7, Bytes: 42},
	} {
		got.add(p)
	}
	want := exportOutput{
		Files: []exportedFile{{1, "b.000001", 30}, {1, "b.000002", 5}, {2, "b.000001", 7}},
		Bytes: 42, End: exportEnd{2, "b.000001", 7},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestTimelineFlag(t *testing.T) {
	for in, want := range map[string]timeline{"1": 1, "00000002": 2, "all": archive.All} {
		var got timeline
		if err := got.Set(in); err != nil || got != want {
			t.Errorf("Set(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "0", "-1", "newest", "1.5"} {
		var got timeline
		if err := got.Set(in); err == nil {
			t.Errorf("Set(%q) = %d, want an error", in, got)
		}
	}
}

func TestMeter(t *testing.T) {
	start := time.Now()
	done := archive.Progress{File: "b.000001", Offset: 2048, Files: 1, Bytes: 2048}
	tests := []struct {
		name     string
		terminal bool
		at       []time.Duration
		want     string
	}{
		{"a line a minute", false, []time.Duration{time.Second, 61 * time.Second, 62 * time.Second}, "exported 2.0 KiB in 1 files, at b.000001:2048\n"},
		{"none in a short export", false, []time.Duration{time.Second}, ""},
		{"one line on a terminal", true, []time.Duration{time.Millisecond, time.Second}, "\rexported 2.0 KiB in 1 files, at b.000001:2048\x1b[K\n"},
		{"none in an instant", true, []time.Duration{time.Millisecond}, ""},
	}
	for _, tt := range tests {
		var got bytes.Buffer
		m := &meter{w: &got, terminal: tt.terminal, last: start}
		for _, after := range tt.at {
			m.show(done, start.Add(after))
		}
		m.end()
		if got.String() != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got.String(), tt.want)
		}
	}
}
