package zktest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"
)

// dial is how a client reaches the server under test.
type dial func(network, address string, timeout time.Duration) (net.Conn, error)

// quiet drops what the client logs.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// connect opens a session below a root.
func connect(t *testing.T, address string, d dial) *zk.Conn {
	t.Helper()
	c, events, err := zk.Connect([]string{address}, 10*time.Second, zk.WithDialer(zk.Dialer(d)), zk.WithLogger(quiet{}), zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	for e := range events {
		if e.State == zk.StateHasSession {
			return c
		}
	}
	t.Fatal("no session")
	return nil
}

// A player carries out a script and writes down what the server answers.
type player struct {
	t       *testing.T
	root    string
	clients []*zk.Conn
	watches []watch
	lines   []string
}

type watch struct {
	what string
	conn *zk.Conn
	fire <-chan zk.Event
}

func (p *player) say(format string, args ...any) {
	p.lines = append(p.lines, strings.ReplaceAll(fmt.Sprintf(format, args...), p.root, ""))
}

func show(s *zk.Stat) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("v%d cv%d av%d children %d length %d ephemeral %v unchanged %v childless %v",
		s.Version, s.Cversion, s.Aversion, s.NumChildren, s.DataLength, s.EphemeralOwner != 0, s.Czxid == s.Mzxid, s.Czxid == s.Pzxid)
}

var everybody = zk.WorldACL(zk.PermAll)

// paths are few, so that operations meet.
var paths = []string{"/a", "/b", "/a/x", "/a/y", "/a/x/deep", "/b/e", "/none/child", "//bad", "/a/"}

// step carries out one operation drawn from r.
func (p *player) step(r *rand.Rand) {
	n := r.IntN(len(p.clients))
	c, path := p.clients[n], p.root+paths[r.IntN(len(paths))]
	version := int32(r.IntN(4) - 1)
	switch r.IntN(11) {
	case 0, 1, 2:
		flags := []int32{0, 0, zk.FlagEphemeral, zk.FlagSequence, zk.FlagEphemeral | zk.FlagSequence}[r.IntN(5)]
		made, err := c.Create(path, []byte("data"), flags, everybody)
		p.say("%d create %s %d: %s %v", n, path, flags, made, err)
	case 3:
		p.say("%d delete %s %d: %v", n, path, version, c.Delete(path, version))
	case 4:
		stat, err := c.Set(path, make([]byte, r.IntN(5)), version)
		p.say("%d set %s %d: %s %v", n, path, version, show(stat), err)
	case 5:
		data, stat, err := c.Get(path)
		if err != nil {
			stat = nil
		}
		p.say("%d get %s: %q %s %v", n, path, data, show(stat), err)
	case 6:
		children, stat, err := c.Children(path)
		if err != nil {
			stat = nil
		}
		slices.Sort(children)
		p.say("%d children %s: %v %s %v", n, path, children, show(stat), err)
	case 7:
		p.watch(c, n, path, r.IntN(3))
	default:
		p.multi(c, n, r)
	}
}

func (p *player) watch(c *zk.Conn, n int, path string, kind int) {
	var fire <-chan zk.Event
	var err error
	switch kind {
	case 0:
		_, _, fire, err = c.GetW(path)
	case 1:
		_, _, fire, err = c.ChildrenW(path)
	default:
		_, _, fire, err = c.ExistsW(path)
	}
	p.say("%d watch %d %s: %v", n, kind, path, err)
	if err == nil {
		p.watches = append(p.watches, watch{fmt.Sprintf("watch %d of %d on %s", kind, n, path), c, fire})
	}
}

func (p *player) multi(c *zk.Conn, n int, r *rand.Rand) {
	var ops []any
	var text []string
	for range 1 + r.IntN(4) {
		path := p.root + paths[r.IntN(len(paths)-2)]
		version := int32(r.IntN(3) - 1)
		switch r.IntN(4) {
		case 0:
			ops = append(ops, &zk.CheckVersionRequest{Path: path, Version: version})
		case 1:
			ops = append(ops, &zk.SetDataRequest{Path: path, Data: []byte("multi"), Version: version})
		case 2:
			ops = append(ops, &zk.CreateRequest{Path: path, Data: []byte("m"), Acl: everybody, Flags: int32(r.IntN(4))})
		default:
			ops = append(ops, &zk.DeleteRequest{Path: path, Version: version})
		}
		text = append(text, fmt.Sprintf("%T %s %d", ops[len(ops)-1], path, version))
	}
	replies, err := c.Multi(ops...)
	p.say("%d multi %s: %v", n, strings.Join(text, ", "), err)
	for _, reply := range replies {
		p.say("  %s %s %v", reply.String, show(reply.Stat), reply.Error)
	}
}

// fired writes down which watches have fired, with what. Those of one path fire in one order.
func (p *player) fired() {
	for _, c := range p.clients {
		if _, err := c.Sync("/"); err != nil {
			p.t.Fatal(err)
		}
	}
	var waiting []watch
	for _, w := range p.watches {
		select {
		case e := <-w.fire:
			p.say("%s: %v %s", w.what, e.Type, e.Path)
		default:
			waiting = append(waiting, w)
		}
	}
	p.watches = waiting
}

// end closes a session. What its watches say then they have from the client, at some time, and not from the server.
func (p *player) end(n int) {
	closed := p.clients[n]
	closed.Close()
	p.watches = slices.DeleteFunc(p.watches, func(w watch) bool { return w.conn == closed })
}

// play carries out a script of steps on a server, and returns the transcript.
func play(t *testing.T, address string, d dial, root string, seed uint64, steps int) []string {
	p := &player{t: t, root: root}
	for range 2 {
		p.clients = append(p.clients, connect(t, address, d))
	}
	defer func() {
		for _, c := range p.clients {
			c.Close()
		}
	}()
	if _, err := p.clients[0].Create(root, nil, 0, everybody); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range steps {
		p.step(r)
		if i%20 == 19 {
			p.fired()
		}
		if i%150 == 149 { // a session ends, with its ephemerals
			p.fired()
			p.end(1)
			p.clients[1] = connect(t, address, d)
			p.fired()
		}
	}
	return p.lines
}

func TestScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		defer s.Close()
		var lines []string
		for seed := range uint64(5) {
			lines = append(lines, play(t, "127.0.0.1:2181", s.Dial, fmt.Sprintf("/script%d", seed), seed, 300)...)
		}
		all := strings.Join(lines, "\n")
		for _, want := range []string{"EventNodeCreated", "EventNodeDeleted", "EventNodeDataChanged", "EventNodeChildrenChanged",
			zk.ErrNodeExists.Error(), zk.ErrNoNode.Error(), zk.ErrBadVersion.Error(), zk.ErrNotEmpty.Error(), zk.ErrNoChildrenForEphemerals.Error(), "0000000001"} {
			if !strings.Contains(all, want) {
				t.Errorf("a script of %d lines has no %q: it shows too little", len(lines), want)
			}
		}
	})
}
