package worker

import (
	"testing"

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
		p := &progress{}
		for _, name := range test.files {
			p.files = append(p.files, source.BinlogFile{Name: name})
		}
		p.file = test.next
		status := zkpaths.Status{PurgeMargin: known(9)}
		p.describe(&status)
		if got := status.PurgeMargin; got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}
