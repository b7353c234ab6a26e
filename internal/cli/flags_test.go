package cli

import (
	"testing"
	"time"
)

func TestSize(t *testing.T) {
	tests := []struct {
		in     string
		want   Size
		text   string
		refuse bool
	}{
		{in: "8MiB", want: 8 << 20, text: "8MiB"},
		{in: "64KiB", want: 64 << 10, text: "64KiB"},
		{in: "1024KiB", want: 1 << 20, text: "1MiB"},
		{in: "1GiB", want: 1 << 30, text: "1GiB"},
		{in: "8MB", want: 8e6, text: "8000000"},
		{in: "64kB", want: 64e3, text: "64000"},
		{in: "64KB", want: 64e3, text: "64000"},
		{in: "2GB", want: 2e9, text: "1953125KiB"},
		{in: "65536", want: 65536, text: "64KiB"},
		{in: "100B", want: 100, text: "100"},
		{in: "8 MiB", want: 8 << 20, text: "8MiB"},
		{in: "0", want: 0, text: "0"},
		{in: "9223372036854775807", want: 1<<63 - 1, text: "9223372036854775807"},
		{in: "", refuse: true},
		{in: "MiB", refuse: true},
		{in: "-1MiB", refuse: true},
		{in: "1.5MiB", refuse: true},
		{in: "8mib", refuse: true},
		{in: "8TiB", refuse: true},
		{in: "9223372036854775808", refuse: true},
		{in: "9999999999GiB", refuse: true},
	}
	for _, tt := range tests {
		var got Size
		err := got.Set(tt.in)
		if tt.refuse {
			if err == nil {
				t.Errorf("Set(%q) = %d, want an error", tt.in, got)
			}
			continue
		}
		if err != nil || got != tt.want || got.String() != tt.text {
			t.Errorf("Set(%q) = %d %q, %v; want %d %q", tt.in, got, got.String(), err, tt.want, tt.text)
		}
	}
}

func TestTimeout(t *testing.T) {
	for in, want := range map[string]time.Duration{"10s": 10 * time.Second, "1m30s": 90 * time.Second, "1ms": time.Millisecond} {
		var got Timeout
		if err := got.Set(in); err != nil || time.Duration(got) != want {
			t.Errorf("Set(%q) = %s, %v; want %s", in, got.String(), err, want)
		}
	}
	for _, in := range []string{"", "10", "0s", "-1s", "soon"} {
		var got Timeout
		if err := got.Set(in); err == nil {
			t.Errorf("Set(%q) = %s, want an error", in, got.String())
		}
	}
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"8MiB", "0", "64kB", "1B", "9999999999GiB", "-1", " 7 KiB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got, again Size
		if got.Set(s) != nil {
			return
		}
		if err := again.Set(got.String()); err != nil || again != got || got < 0 {
			t.Errorf("Set(%q) = %d, whose text %q is %d, %v", s, got, got.String(), again, err)
		}
	})
}
