package zktest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A znode's stat, as clients see it. Times are in milliseconds since 1970.
type stat struct {
	czxid, mzxid, pzxid         int64
	ctime, mtime                int64
	version, cversion, aversion int32
	owner                       int64 // the session of an ephemeral; 0
	length, children            int32
}

// A znode is one node of the tree. A node that stands in a tree is never changed: a change puts a copy in its place, so
// that a tree can be taken back.
type znode struct {
	data     []byte
	perms    int32 // what everybody may do
	children map[string]bool
	created  int32 // children that were ever created: what sequences count
	stat     stat
}

// The permissions of an ACL.
const (
	permRead = 1 << iota
	permWrite
	permCreate
	permDelete
	permAdmin
	permAll = permRead | permWrite | permCreate | permDelete | permAdmin
)

// A tree is what an ensemble has agreed on.
type tree struct {
	nodes map[string]*znode // by path
	zxid  int64             // of the newest change
	undo  map[string]*znode // while a multi is tried: what stood at the paths that it has changed
}

func newTree() *tree {
	return &tree{nodes: map[string]*znode{"/": {perms: permAll, children: map[string]bool{}}}}
}

// copy is the tree as it is now: no later change reaches it.
func (t *tree) copy() *tree { return &tree{nodes: maps.Clone(t.nodes), zxid: t.zxid} }

// show is the node's stat as a client gets it. The count of changes of the children is made of that of their creations,
// as a server does.
func (n *znode) show() stat {
	s := n.stat
	s.children, s.length = int32(len(n.children)), int32(len(n.data))
	s.cversion = n.created*2 - s.children
	return s
}

// change puts a copy of the node at path in its place, to be changed.
func (t *tree) change(path string) *znode {
	n := *t.nodes[path]
	n.children = maps.Clone(n.children)
	t.put(path, &n)
	return &n
}

// put makes n the node at path, nil for none.
func (t *tree) put(path string, n *znode) {
	if _, known := t.undo[path]; t.undo != nil && !known {
		t.undo[path] = t.nodes[path]
	}
	if n == nil {
		delete(t.nodes, path)
	} else {
		t.nodes[path] = n
	}
}

func split(path string) (parent, name string) {
	i := strings.LastIndexByte(path, '/')
	if i == 0 {
		return "/", path[1:]
	}
	return path[:i], path[i+1:]
}

func validPath(path string, sequential bool) bool {
	if sequential {
		path += "0"
	}
	if path == "/" {
		return true
	}
	if !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) {
		return false
	}
	return !slices.ContainsFunc(strings.Split(path[1:], "/"), func(part string) bool { return part == "" || part == "." || part == ".." })
}

// An event is what watchers are told of.
type event struct {
	kind int32
	path string
}

// The kinds of events.
const (
	nodeCreated     = 1
	nodeDeleted     = 2
	dataChanged     = 3
	childrenChanged = 4
)

// A change is one operation that may change the tree.
type change struct {
	op      int32
	path    string
	data    []byte
	version int32 // -1: any
	flags   int32 // of a create: 1 ephemeral, 2 sequential
	perms   int32
}

// An outcome is what a change did.
type outcome struct {
	op     int32
	code   Code
	path   string // of a create
	stat   stat   // of setData
	events []event
}

// apply carries out one change for a session, in the change of the tree that zxid numbers.
func (t *tree) apply(c change, session, zxid int64) outcome {
	out := outcome{op: c.op}
	if !validPath(c.path, c.op == opCreate && c.flags&2 != 0) {
		out.code = BadArguments
		return out
	}
	switch c.op {
	case opCreate:
		t.create(c, session, zxid, &out)
	case opDelete:
		t.remove(c, zxid, &out)
	case opSetData:
		t.set(c, zxid, &out)
	case opSetACL:
		t.setACL(c, &out)
	case opCheck:
		if n := t.nodes[c.path]; n == nil {
			out.code = NoNode
		} else if c.version != -1 && c.version != n.stat.version {
			out.code = BadVersion
		}
	default:
		out.code = Unimplemented
	}
	return out
}

func (t *tree) create(c change, session, zxid int64, out *outcome) {
	parent, name := split(c.path)
	above := t.nodes[parent]
	if above != nil && c.flags&2 != 0 {
		name = fmt.Sprintf("%s%010d", name, above.created)
	}
	path := strings.TrimSuffix(parent, "/") + "/" + name
	switch {
	case above == nil:
		out.code = NoNode
	case above.perms&permCreate == 0:
		out.code = NoAuth
	case c.path == "/" || t.nodes[path] != nil:
		out.code = NodeExists
	case above.stat.owner != 0:
		out.code = NoChildrenForEphemerals
	}
	if out.code != OK {
		return
	}
	above = t.change(parent)
	above.children[name] = true
	above.created++
	above.stat.pzxid = zxid
	now := time.Now().UnixMilli()
	made := &znode{data: c.data, perms: c.perms, children: map[string]bool{}, stat: stat{czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: now, mtime: now}}
	if c.flags&1 != 0 {
		made.stat.owner = session
	}
	t.put(path, made)
	out.path = path
	out.events = []event{{nodeCreated, path}, {childrenChanged, parent}}
}

func (t *tree) remove(c change, zxid int64, out *outcome) {
	n := t.nodes[c.path]
	parent, name := split(c.path)
	switch {
	case c.path == "/":
		out.code = BadArguments
	case n == nil:
		out.code = NoNode
	case t.nodes[parent].perms&permDelete == 0:
		out.code = NoAuth
	case c.version != -1 && c.version != n.stat.version:
		out.code = BadVersion
	case len(n.children) > 0:
		out.code = NotEmpty
	}
	if out.code != OK {
		return
	}
	above := t.change(parent)
	delete(above.children, name)
	above.stat.pzxid = zxid
	t.put(c.path, nil)
	out.events = []event{{nodeDeleted, c.path}, {childrenChanged, parent}}
}

func (t *tree) set(c change, zxid int64, out *outcome) {
	n := t.nodes[c.path]
	switch {
	case n == nil:
		out.code = NoNode
	case n.perms&permWrite == 0:
		out.code = NoAuth
	case c.version != -1 && c.version != n.stat.version:
		out.code = BadVersion
	}
	if out.code != OK {
		return
	}
	n = t.change(c.path)
	n.data = c.data
	n.stat.version++
	n.stat.mzxid, n.stat.mtime = zxid, time.Now().UnixMilli()
	out.stat = n.show()
	out.events = []event{{dataChanged, c.path}}
}

func (t *tree) setACL(c change, out *outcome) {
	n := t.nodes[c.path]
	switch {
	case n == nil:
		out.code = NoNode
	case n.perms&permAdmin == 0:
		out.code = NoAuth
	case c.version != -1 && c.version != n.stat.aversion:
		out.code = BadVersion
	}
	if out.code != OK {
		return
	}
	n = t.change(c.path)
	n.perms = c.perms
	n.stat.aversion++
	out.stat = n.show()
}

// multi carries out all changes or none.
func (t *tree) multi(changes []change, session, zxid int64) (outcomes []outcome, done bool) {
	t.undo = map[string]*znode{}
	defer func() { t.undo = nil }()
	for _, c := range changes {
		outcomes = append(outcomes, t.apply(c, session, zxid))
		if outcomes[len(outcomes)-1].code != OK {
			break
		}
	}
	failed := len(outcomes) - 1
	if failed < 0 || outcomes[failed].code == OK {
		return outcomes, true
	}
	undo := t.undo
	t.undo = nil
	for path, n := range undo {
		t.put(path, n)
	}
	code := outcomes[failed].code
	outcomes = make([]outcome, len(changes))
	for i := range outcomes {
		outcomes[i] = outcome{op: opError, code: Inconsistent}
		if i < failed {
			outcomes[i].code = OK
		}
	}
	outcomes[failed].code = code
	return outcomes, false
}

// ephemerals are the paths of a session's nodes.
func (t *tree) ephemerals(session int64) []string {
	var paths []string
	for path, n := range t.nodes {
		if n.stat.owner == session && session != 0 {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}
