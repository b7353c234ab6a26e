package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMedian(t *testing.T) {
	tests := []struct {
		in   []int64
		want int64
	}{
		{[]int64{7}, 7},
		{[]int64{9, 1, 5}, 5},
		{[]int64{9, 1, 5, 7}, 6},
	}
	for _, test := range tests {
		if got := median(test.in, func(n int64) int64 { return n }); got != test.want {
			t.Errorf("median(%v) = %d, want %d", test.in, got, test.want)
		}
	}
}

func TestLastNumber(t *testing.T) {
	const uuid = "0a0b0c0d-0000-0000-0000-000000000001"
	for set, want := range map[string]int64{uuid + ":1": 1, uuid + ":1-5": 5, uuid + ":1-5:7-12": 12} {
		if got, err := lastNumber(set); got != want || err != nil {
			t.Errorf("lastNumber(%s) = %d, %v, want %d", set, got, err, want)
		}
	}
	if got, err := lastNumber(""); err == nil {
		t.Errorf("the last number of no set is %d", got)
	}
}

// The figures of a process are read from text of Linux.
func TestProcessFigures(t *testing.T) {
	const tick = 10 * time.Millisecond
	spent := func() time.Duration {
		var usage unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
			t.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	for spent() < 5*tick { // on a busy machine, that takes longer than that
	}
	before := spent()
	if got, err := cpuTime(os.Getpid()); err != nil || got < before-2*tick || got > spent()+2*tick {
		t.Errorf("CPU time %s, %v, want %s", got, err, before)
	}
	now, err := memory(os.Getpid(), "VmRSS")
	if err != nil || now < 1<<20 {
		t.Errorf("%d bytes of memory, %v", now, err)
	}
	if most, err := memory(os.Getpid(), "VmHWM"); err != nil || most < now {
		t.Errorf("%d bytes at most, %d now, %v", most, now, err)
	}
	if n, err := memory(os.Getpid(), "VmNone"); err == nil {
		t.Errorf("%d bytes of nothing", n)
	}
}

func TestBoundsInTable(t *testing.T) {
	var r report
	r.ratio("a", "1 s", "3 s", 3, 3)
	r.ratio("b", "1 s", "2 s", 2, 3)
	r.ratio("c", "1 s", "2 s", 2, 0)
	r.limit("d", "9", "10", true)
	for i, want := range []string{"3.00 holds", "2.00 FAILS", "2.00", "holds"} {
		if got := r.Rows[i].result(); got != want {
			t.Errorf("%s: got %q, want %q", r.Rows[i].Measured, got, want)
		}
	}
}

func TestDocument(t *testing.T) {
	got := document(rand.New(rand.NewPCG(1, 2)), 10_000)
	if len(got) < 10_000 || len(got) > 10_200 || !bytes.HasSuffix(got, []byte("}\n")) {
		t.Errorf("%d bytes that end with %q", len(got), got[len(got)-10:])
	}
	if again := document(rand.New(rand.NewPCG(1, 2)), 10_000); !bytes.Equal(again, got) {
		t.Error("another document each time")
	}
}
