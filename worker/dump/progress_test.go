package dump

import (
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/worker/source"
	"binkeeper/zkpaths"
)

func TestPurgeMarginInTheStatus(t *testing.T) {
	known := func(files int64) zkpaths.Margin { return zkpaths.Margin{Files: files, Known: true} }
	tests := []struct {
		name  string
		files []string // of the source, oldest first
		next  string   // the one needed next; "" while nothing is known of the archive
		want  zkpaths.Margin
	}{
		{"the newest is needed next", []string{"b.000007", "b.000008"}, "b.000008", zkpaths.Margin{}},
		{"behind", []string{"b.000005", "b.000006", "b.000007", "b.000008"}, "b.000007", known(2)},
		{"the oldest is needed next", []string{"b.000007", "b.000008"}, "b.000007", known(0)},
		{"purged", []string{"b.000008"}, "b.000007", known(0)},
		{"numbers are compared", []string{"b.999999", "b.1000000", "b.1000001"}, "b.1000000", known(1)},
		{"not listed yet", nil, "b.000007", zkpaths.Margin{}},
		{"no archive yet", []string{"b.000007", "b.000008"}, "", known(9)}, // as it was said before
	}
	for _, test := range tests {
		p := &Progress{}
		for _, name := range test.files {
			p.files = append(p.files, source.BinlogFile{Name: name})
		}
		p.file = test.next
		status := zkpaths.Status{PurgeMargin: known(9)}
		p.Describe(&status)
		if got := status.PurgeMargin; got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}

// TestDurableTimeOfEventsToCome stores events of a source on which a client has set the
// timestamp to 2060, and to 1990: the durable time neither leaves the clock behind nor
// stands still afterwards, and the segment keeps the event's own time.
func TestDurableTimeOfEventsToCome(t *testing.T) {
	read := time.Date(2026, 11, 20, 10, 43, 2, 5e8, time.UTC)
	stored := func(p *pipeline, event, read time.Time) time.Time {
		c := &cut{segment: archive.Segment{Meta: archive.Meta{LastEventTime: &event}}, read: read}
		p.end = archive.End{File: "b.000007", Offset: 100}
		p.publish(c)
		if got := c.segment.Meta.LastEventTime; !got.Equal(event) {
			t.Errorf("the segment's last event is of %s now, it was of %s", got, event)
		}
		var status zkpaths.Status
		p.d.progress.Describe(&status)
		return status.DurableTime.Time
	}
	p := newPipeline(&Dump{progress: NewProgress()}, nil, archive.End{}, nil, nil)
	toCome := time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		name              string
		event, read, want time.Time
	}{
		{"an event of now", read.Truncate(time.Second), read, read.Truncate(time.Second)},
		{"an event of 2060", toCome, read, read},
		{"an event of 1990", time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), read.Add(time.Second), read},
		{"another of 2060, later", toCome, read.Add(5 * time.Second), read.Add(5 * time.Second)},
		{"an event of now again", read.Add(9 * time.Second), read.Add(10 * time.Second), read.Add(9 * time.Second)},
	} {
		if got := stored(p, step.event, step.read); !got.Equal(step.want) {
			t.Errorf("after %s: durable to %s, want %s", step.name, got, step.want)
		}
	}
}
