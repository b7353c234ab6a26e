package faultstest

import (
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"binkeeper/internal/faults"
)

// A fakeTB is a test that notes what it is told, and ends when it is told to.
type fakeTB struct {
	testing.TB
	errors   []string
	cleanups []func()
}

func (f *fakeTB) Helper() {}
func (f *fakeTB) Errorf(format string, a ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, a...))
}
func (f *fakeTB) Cleanup(do func()) { f.cleanups = append(f.cleanups, do) }

func (f *fakeTB) end() {
	for _, do := range slices.Backward(f.cleanups) {
		do()
	}
}

// A fault that strikes nothing fails the test, whether it is healed, ordered anew, or on when the test ends.
func TestFaultMustStrike(t *testing.T) {
	never := func(f faults.Packet) faults.Action { return faults.Pass }
	tests := []struct {
		name  string
		order func(p *Proxy)
		idle  bool // there is no such connection
		want  int  // complaints
	}{
		{name: "cut and healed", order: func(p *Proxy) { p.Cut(); p.Heal() }, want: 0},
		{name: "cut, nobody there", order: func(p *Proxy) { p.Cut(); p.Heal() }, idle: true, want: 1},
		{name: "kill", order: (*Proxy).Kill, want: 0},
		{name: "kill, nobody there", order: (*Proxy).Kill, idle: true, want: 1},
		{name: "kill twice, and one there", order: func(p *Proxy) { p.Kill(); p.Kill() }, want: 1},
		{name: "freeze, and nothing held back", order: func(p *Proxy) { p.Freeze(); p.Heal() }, want: 1},
		{name: "replies dropped, and there are none", order: func(p *Proxy) { p.DropReplies() }, idle: true, want: 1},
		{name: "delay, and nothing came", order: func(p *Proxy) { p.Delay(time.Hour) }, idle: true, want: 1},
		{name: "script that does nothing", order: func(p *Proxy) { p.Script(never); p.Script(nil) }, want: 1},
		{name: "unchecked", order: func(p *Proxy) { p.Proxy.Cut(); p.Proxy.Heal() }, idle: true, want: 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fake := &fakeTB{TB: t}
			p := NewProxy(fake, startEcho(t), faults.Raw)
			if !test.idle {
				exchange(t, p)
			}
			test.order(p)
			fake.end()
			if len(fake.errors) != test.want {
				t.Errorf("complaints %q, want %d", fake.errors, test.want)
			}
		})
	}
}

// exchange sends a byte through the proxy and waits for it to come back.
func exchange(t *testing.T, p *Proxy) {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func startEcho(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return l.Addr().String()
}
