package faults

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// soon is long enough for what has to come, and never shall is how long a test waits for what must not.
const (
	soon       = 5 * time.Second
	nevershall = 100 * time.Millisecond
)

// startEcho gives the address of a server that sends back what it gets, in upper case when it is loud.
func startEcho(t *testing.T, loud bool) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer c.Close()
				for b := make([]byte, 64<<10); ; {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					if loud {
						copy(b, bytes.ToUpper(b[:n]))
					}
					if _, err := c.Write(b[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); served.Wait() })
	return l.Addr().String()
}

func newProxy(t *testing.T, target string, framing Framing) *Proxy {
	t.Helper()
	p, err := NewProxy(target, framing)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

type client struct {
	*testing.T
	net.Conn
}

func dial(t *testing.T, p *Proxy) client {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return client{t, c}
}

func (c client) send(text string) {
	c.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.Fatal(err)
	}
}

// want reads text within the time.
func (c client) want(text string) {
	c.Helper()
	c.SetReadDeadline(time.Now().Add(soon))
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		c.Fatalf("got %q (%v), want %q", got, err, text)
	}
}

func (c client) wantSilence() {
	c.Helper()
	c.SetReadDeadline(time.Now().Add(nevershall))
	got := make([]byte, 100)
	if n, err := c.Read(got); n > 0 || err == nil || !err.(net.Error).Timeout() {
		c.Fatalf("got %q (%v), want nothing", got[:n], err)
	}
}

func (c client) wantClosed() {
	c.Helper()
	c.SetReadDeadline(time.Now().Add(soon))
	got := make([]byte, 100)
	n, err := c.Read(got)
	if timeout, ok := err.(net.Error); n > 0 || err == nil || ok && timeout.Timeout() {
		c.Fatalf("got %q (%v), want a connection that is closed", got[:n], err)
	}
}

func wantStruck(t *testing.T, p *Proxy, kind Kind, n int64) {
	t.Helper()
	if got := p.Struck(kind); got != n {
		t.Errorf("struck %d times, want %d", got, n)
	}
	if p.Struck() < n {
		t.Errorf("struck %d times in all, want %d at least", p.Struck(), n)
	}
}

func TestProxyPassesOn(t *testing.T) {
	p := newProxy(t, startEcho(t, false), Raw)
	c := dial(t, p)
	text := strings.Repeat("0123456789", 1<<20)
	go io.WriteString(c, text)
	c.want(text)
	wantStruck(t, p, Kill, 0)
}

func TestCut(t *testing.T) {
	p := newProxy(t, startEcho(t, false), Raw)
	p.Cut()
	wantStruck(t, p, Cut, 0) // nobody was there
	p.Heal()
	c := dial(t, p)
	c.send("a")
	c.want("a")
	p.Cut()
	c.wantClosed()
	dial(t, p).wantClosed()
	wantStruck(t, p, Cut, 2)
	p.Heal()
	again := dial(t, p)
	again.send("b")
	again.want("b")
}

func TestKill(t *testing.T) {
	p := newProxy(t, startEcho(t, false), Raw)
	c := dial(t, p)
	c.send("a")
	c.want("a")
	p.Kill()
	c.wantClosed()
	wantStruck(t, p, Kill, 1)
	again := dial(t, p)
	again.send("b")
	again.want("b")
}

func TestFreeze(t *testing.T) {
	p := newProxy(t, startEcho(t, false), Raw)
	c := dial(t, p)
	c.send("a")
	c.want("a")
	p.Freeze()
	wantStruck(t, p, Freeze, 0)
	c.send("b")
	c.wantSilence()
	another := dial(t, p)
	another.send("c")
	another.wantSilence()
	if p.Struck(Freeze) != 2 {
		t.Errorf("struck %d times, want 2", p.Struck(Freeze))
	}
	p.Heal()
	c.want("b")
	another.want("c")
}

func TestFrozenProxyCloses(t *testing.T) {
	p := newProxy(t, startEcho(t, false), Raw)
	c := dial(t, p)
	p.Freeze()
	c.send("a")
	c.wantSilence()
	p.Close()
	c.wantClosed()
}

func TestDelay(t *testing.T) {
	const delay = 200 * time.Millisecond
	p := newProxy(t, startEcho(t, false), Raw)
	c := dial(t, p)
	p.Delay(delay)
	began := time.Now()
	const packets = 20
	for range packets { // each waits, and none for the one before
		c.send("a")
		time.Sleep(5 * time.Millisecond)
	}
	c.want(strings.Repeat("a", packets))
	if took := time.Since(began); took < 2*delay || took > packets*delay {
		t.Errorf("took %s, want some %s", took, 2*delay)
	}
	if p.Struck(Delay) < 2 {
		t.Errorf("struck %d times, want 2 at least", p.Struck(Delay))
	}
	p.Delay(time.Hour)
	c.send("d")
	c.wantSilence()
	p.Heal()
	c.want("d")
}

func TestDropReplies(t *testing.T) {
	p := newProxy(t, startEcho(t, false), Raw)
	c, unharmed := dial(t, p), dial(t, p)
	unharmed.send("x")
	unharmed.want("x")
	p.DropReplies()
	c.send("a")
	c.wantSilence()
	wantStruck(t, p, DropReplies, 1)
	p.Heal()
	c.wantClosed()
	unharmed.send("y")
	unharmed.want("y")
}

func TestRetarget(t *testing.T) {
	p := newProxy(t, startEcho(t, false), Raw)
	c := dial(t, p)
	c.send("a")
	c.want("a")
	p.Retarget(startEcho(t, true))
	c.send("a")
	c.want("a")
	p.Kill()
	c.wantClosed()
	again := dial(t, p)
	again.send("a")
	again.want("A")
}

func TestUnreachableTarget(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	p := newProxy(t, l.Addr().String(), Raw)
	dial(t, p).wantClosed()
	if p.Struck() != 0 || p.Links() != 0 {
		t.Errorf("struck %d times, %d links, want none", p.Struck(), p.Links())
	}
}

// zooKeeperPacket is a packet of ZooKeeper's of two numbers and a text.
func zooKeeperPacket(xid, op int32, text string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(text)))
	b = binary.BigEndian.AppendUint32(b, uint32(xid))
	return string(binary.BigEndian.AppendUint32(b, uint32(op))) + text
}

func mySQLPacket(sequence byte, body string) string {
	return string([]byte{byte(len(body)), byte(len(body) >> 8), byte(len(body) >> 16), sequence}) + body
}

func TestScript(t *testing.T) {
	tests := []struct {
		name    string
		framing Framing
		script  Script
		sent    []string
		want    string
		closed  bool
	}{
		{name: "drop a reply", framing: ZooKeeper, script: Nth(1, Drop, ReplyTo(ZooKeeperMulti)),
			sent: []string{zooKeeperPacket(0, 0, "hello"), zooKeeperPacket(1, ZooKeeperMulti, "a"), zooKeeperPacket(2, ZooKeeperMulti, "b")},
			want: zooKeeperPacket(0, 0, "hello") + zooKeeperPacket(2, ZooKeeperMulti, "b")},
		{name: "drop the third request", framing: ZooKeeper, script: Nth(3, Drop, Going(Requests)),
			sent: []string{zooKeeperPacket(0, 0, "hello"), zooKeeperPacket(1, 4, "a"), zooKeeperPacket(2, 4, "b"), zooKeeperPacket(-2, 11, "")},
			want: zooKeeperPacket(0, 0, "hello") + zooKeeperPacket(1, 4, "a") + zooKeeperPacket(-2, 11, "")},
		{name: "every ping", framing: ZooKeeper, script: Every(Drop, ReplyTo(ZooKeeperPing)),
			sent: []string{zooKeeperPacket(0, 0, "hello"), zooKeeperPacket(-2, 11, ""), zooKeeperPacket(-2, 11, ""), zooKeeperPacket(1, 4, "a")},
			want: zooKeeperPacket(0, 0, "hello") + zooKeeperPacket(1, 4, "a")},
		{name: "alter", framing: ZooKeeper, script: func(f Packet) Action {
			if f.Direction == Requests && f.Op == OpOpen {
				f.Body[8] = 'H'
				return Alter
			}
			return Pass
		}, sent: []string{zooKeeperPacket(0, 0, "hello")}, want: zooKeeperPacket(0, 0, "Hello")},
		{name: "break", framing: ZooKeeper, script: Nth(1, Break, RequestOf(4)),
			sent: []string{zooKeeperPacket(0, 0, "hello"), zooKeeperPacket(1, 4, "a")}, want: zooKeeperPacket(0, 0, "hello"), closed: true},
		{name: "a word of four letters", framing: ZooKeeper, script: Nth(1, Alter, func(f Packet) bool { return f.Op == OpNone }),
			sent: []string{"ruok"}, want: "ruok"},
		{name: "a command of MySQL's", framing: MySQL, script: Nth(1, Drop, RequestOf(MySQLQuery)),
			sent: []string{mySQLPacket(1, "response"), mySQLPacket(0, "\x03drop"), mySQLPacket(0, "\x1edump")},
			want: mySQLPacket(1, "response") + mySQLPacket(0, "\x1edump")},
		{name: "TLS over MySQL's", framing: MySQL, script: Nth(1, Drop, func(f Packet) bool { return f.Op == OpNone && f.Direction == Requests }),
			sent: []string{mySQLPacket(1, "\x00\x08\x00\x00"+strings.Repeat("\x00", 28)), "lost", "hello"},
			want: mySQLPacket(1, "\x00\x08\x00\x00"+strings.Repeat("\x00", 28)) + "hello"},
		{name: "a chunk", framing: Raw, script: Nth(2, Drop, Going(Requests)), sent: []string{"a", "b", "c"}, want: "ac"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := newProxy(t, startEcho(t, false), test.framing)
			p.Script(test.script)
			c := dial(t, p)
			for _, text := range test.sent {
				c.send(text)
				time.Sleep(10 * time.Millisecond) // each is a chunk of its own
			}
			c.want(test.want)
			if test.closed {
				c.wantClosed()
			} else {
				c.wantSilence()
			}
			if p.Struck(Scripted) == 0 {
				t.Error("the script has not struck")
			}
		})
	}
}

func TestHold(t *testing.T) {
	p := newProxy(t, startEcho(t, false), Raw)
	p.Script(Nth(2, Hold, Going(Requests)))
	c := dial(t, p)
	c.send("a")
	c.want("a")
	c.send("b")
	c.wantSilence()
	wantStruck(t, p, Scripted, 1)
	p.Heal()
	c.want("b")
}

func TestStopAndContinue(t *testing.T) {
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	pid := child.Process.Pid
	for _, step := range []struct {
		do   func(int) error
		want int
	}{{Stop, 1}, {Stop, 1}, {Continue, 0}, {Continue, 0}} {
		if err := step.do(pid); err != nil {
			t.Fatal(err)
		}
		if stopped, _, err := threads(pid); err != nil || stopped != step.want {
			t.Errorf("%d threads are suspended (%v), want %d", stopped, err, step.want)
		}
	}
	child.Process.Kill()
	child.Wait()
	if err := Stop(pid); err == nil {
		t.Error("a process that is gone was stopped")
	}
}
