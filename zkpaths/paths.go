package zkpaths

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The two parents of everything, and the record of the tasks that were removed.
const (
	Tasks        = "/tasks"
	Workers      = "/workers"
	RemovedTasks = "/removed"
)

var (
	taskIDPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	serverIDPattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	// A sequence is a signed 32-bit counter of the parent, printed with at
	// least ten characters: a negative one may have nine digits.
	memberPattern = regexp.MustCompile(`^server_(.+)_(-?\d{9,10})$`)
)

// Task is the path of a task's spec.
func Task(id string) string { return Tasks + "/" + id }

// Line is the path of a task's instance list.
func Line(id string) string { return Task(id) + "/instance" }

// InstancePrefix is the path that a worker's instance is created with;
// ZooKeeper appends the sequence.
func InstancePrefix(id, serverID string) string { return Line(id) + "/server_" + serverID + "_" }

// Member returns the path of the instance called name.
func Member(id, name string) string { return Line(id) + "/" + name }

// Checkpoint is the path of a task's lastCommit.
func Checkpoint(id string) string { return Task(id) + "/lastCommit" }

// State is the path of a task's status.
func State(id string) string { return Task(id) + "/status" }

// LiveWorker is the path of a worker's own node.
func LiveWorker(serverID string) string { return Workers + "/server_" + serverID }

// CheckTaskID reports why id cannot name a task. A task's id is also the name
// of its folder in the archive.
func CheckTaskID(id string) error {
	if taskIDPattern.MatchString(id) {
		return nil
	}
	return fmt.Errorf("task id %q: want 1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit", id)
}

// CheckServerID reports why id cannot name a worker.
func CheckServerID(id string) error {
	if serverIDPattern.MatchString(id) {
		return nil
	}
	return fmt.Errorf("server id %q: want 1 to 64 of A-Z a-z 0-9 -", id)
}

// A Place is one instance in a task's line.
type Place struct {
	Name     string // of the znode: server_<serverID>_<seq>
	ServerID string
	Seq      int32 // compared as a number: it wraps to negative ones
}

// ParsePlace reads the name of an instance znode. ok is false for a name that
// is none, such as a child that another program has created.
func ParsePlace(name string) (p Place, ok bool) {
	m := memberPattern.FindStringSubmatch(name)
	if m == nil {
		return Place{}, false
	}
	seq, err := strconv.ParseInt(m[2], 10, 32)
	if err != nil {
		return Place{}, false
	}
	return Place{Name: name, ServerID: m[1], Seq: int32(seq)}, true
}

// ParseLine sorts the children of an instance list into the line, first in
// line first, and the names that are no instances.
func ParseLine(children []string) (line []Place, foreign []string) {
	for _, name := range children {
		if p, ok := ParsePlace(name); ok {
			line = append(line, p)
		} else {
			foreign = append(foreign, name)
		}
	}
	slices.SortFunc(line, func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), strings.Compare(a.Name, b.Name))
	})
	slices.Sort(foreign)
	return line, foreign
}

// ParseWorker gives the server id in the name of a worker's node. ok is false for
// a name that is none.
func ParseWorker(name string) (serverID string, ok bool) {
	serverID, ok = strings.CutPrefix(name, "server_")
	return serverID, ok && CheckServerID(serverID) == nil
}

// ParseConnect splits a connect string, host:port[,host:port...][/root], into
// its servers and the root ("" when there is none).
func ParseConnect(s string) (servers []string, root string, err error) {
	hosts, below, _ := strings.Cut(s, "/")
	if below != "" {
		below = strings.TrimSuffix(below, "/")
		root = "/" + below
		for part := range strings.SplitSeq(below, "/") {
			if part == "" || part == "." || part == ".." || strings.ContainsFunc(part, unicode.IsControl) {
				return nil, "", fmt.Errorf("zookeeper %q: root %q is not a znode path", s, root)
			}
		}
	}
	for server := range strings.SplitSeq(hosts, ",") {
		if err := checkHostPort(server); err != nil {
			return nil, "", fmt.Errorf("zookeeper %q: server %q: %w", s, server, err)
		}
		servers = append(servers, server)
	}
	return servers, root, nil
}

func checkHostPort(server string) error {
	host, port, err := net.SplitHostPort(server)
	if err != nil || host == "" || strings.ContainsFunc(host, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return errors.New("want host:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("want a port from 1 to 65535")
	}
	return nil
}
