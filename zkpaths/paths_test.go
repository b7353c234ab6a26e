package zkpaths_test

import (
	"slices"
	"strings"
	"testing"

	"binkeeper/zkpaths"
)

func TestPaths(t *testing.T) {
	tests := []struct{ got, want string }{
		{zkpaths.Task("orders"), "/tasks/orders"},
		{zkpaths.Line("orders"), "/tasks/orders/instance"},
		{zkpaths.InstancePrefix("orders", "7"), "/tasks/orders/instance/server_7_"},
		{zkpaths.Member("orders", "server_7_0000000001"), "/tasks/orders/instance/server_7_0000000001"},
		{zkpaths.Checkpoint("orders"), "/tasks/orders/lastCommit"},
		{zkpaths.State("orders"), "/tasks/orders/status"},
		{zkpaths.LiveWorker("7"), "/workers/server_7"},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
	}
}

func TestCheckTaskID(t *testing.T) {
	for id, want := range map[string]bool{
		"orders": true, "a": true, "9.b_c-D": true, strings.Repeat("x", 64): true,
		"": false, ".": false, "..": false, "-a": false, "_a": false, "a/b": false, "a b": false, "é": false,
		"a\n": false, strings.Repeat("x", 65): false,
	} {
		if got := zkpaths.CheckTaskID(id) == nil; got != want {
			t.Errorf("CheckTaskID(%q) passes: %v, want %v", id, got, want)
		}
	}
}

func TestServerID(t *testing.T) {
	for id, want := range map[string]bool{
		"1": true, "db-worker-2": true, strings.Repeat("x", 64): true,
		"": false, "a_b": false, "a.b": false, "a/b": false, "a\n": false, strings.Repeat("x", 65): false,
	} {
		if got := zkpaths.CheckServerID(id) == nil; got != want {
			t.Errorf("CheckServerID(%q) passes: %v, want %v", id, got, want)
		}
		parsed, ok := zkpaths.ParseWorker("server_" + id)
		if ok != want || ok && parsed != id {
			t.Errorf("ParseWorker(server_%s) = %q, %v, want ok %v", id, parsed, ok, want)
		}
	}
	if _, ok := zkpaths.ParseWorker("worker_1"); ok {
		t.Error("ParseWorker takes a name without server_")
	}
}

func TestParsePlace(t *testing.T) {
	tests := []struct {
		name     string
		serverID string
		seq      int32
		ok       bool
	}{
		{"server_1_0000000000", "1", 0, true},
		{"server_1_2147483647", "1", 2147483647, true},
		{"server_1_-2147483648", "1", -2147483648, true},
		{"server_1_-000000001", "1", -1, true},
		{"server_db-worker-2_0000000042", "db-worker-2", 42, true},
		{"server_a_b_0000000042", "a_b", 42, true},
		{"server_1_2147483648", "", 0, false},
		{"server_1_9999999999", "", 0, false},
		{"server_1_00000001", "", 0, false},
		{"server_1_00000000001", "", 0, false},
		{"server__0000000001", "", 0, false},
		{"server_1_", "", 0, false},
		{"server_1", "", 0, false},
		{"_c_0123456789abcdef0123456789abcdef-server_1_0000000001", "", 0, false},
		{"foo", "", 0, false},
		{"", "", 0, false},
	}
	for _, test := range tests {
		got, ok := zkpaths.ParsePlace(test.name)
		want := zkpaths.Place{Name: test.name, ServerID: test.serverID, Seq: test.seq}
		if !test.ok {
			want = zkpaths.Place{}
		}
		if got != want || ok != test.ok {
			t.Errorf("ParsePlace(%q) = %+v, %v, want %+v, %v", test.name, got, ok, want, test.ok)
		}
	}
}

func TestParseLine(t *testing.T) {
	line, foreign := zkpaths.ParseLine([]string{
		"server_2_0000000010", "foo", "server_10_0000000009", "_c_x", "server_3_-000000001", "server_1_-2147483648",
	})
	var got []string
	for _, p := range line {
		got = append(got, p.Name)
	}
	want := []string{"server_1_-2147483648", "server_3_-000000001", "server_10_0000000009", "server_2_0000000010"}
	if !slices.Equal(got, want) {
		t.Errorf("line %q, want %q", got, want)
	}
	if want := []string{"_c_x", "foo"}; !slices.Equal(foreign, want) {
		t.Errorf("foreign %q, want %q", foreign, want)
	}
}

func FuzzParsePlace(f *testing.F) {
	for _, name := range []string{"server_1_0000000000", "server_1_-000000001", "server_a_b_2147483648", "_c_x", "server__-2147483648", ""} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p, ok := zkpaths.ParsePlace(name)
		if !ok {
			return
		}
		if p.Name != name || p.ServerID == "" || !strings.HasPrefix(name, "server_"+p.ServerID+"_") {
			t.Errorf("ParsePlace(%q) = %+v", name, p)
		}
	})
}

func TestParseConnect(t *testing.T) {
	tests := []struct {
		connect string
		servers []string
		root    string
		ok      bool
	}{
		{"127.0.0.1:2181", []string{"127.0.0.1:2181"}, "", true},
		{"zk1:2181,zk2:2182", []string{"zk1:2181", "zk2:2182"}, "", true},
		{"zk1:2181/backup", []string{"zk1:2181"}, "/backup", true},
		{"zk1:2181/", []string{"zk1:2181"}, "", true},
		{"zk1:2181,[::1]:2181/a/b/", []string{"zk1:2181", "[::1]:2181"}, "/a/b", true},
		{"", nil, "", false},
		{"/a", nil, "", false},
		{"zk1", nil, "", false},
		{"zk1:", nil, "", false},
		{":2181", nil, "", false},
		{"zk1:0", nil, "", false},
		{"zk1:65536", nil, "", false},
		{"zk1:+1", nil, "", false},
		{"zk1:2181,", nil, "", false},
		{"zk1:2181, zk2:2181", nil, "", false},
		{"::1:2181", nil, "", false},
		{"zk1:2181//", nil, "", false},
		{"zk1:2181/a//b", nil, "", false},
		{"zk1:2181/a/../b", nil, "", false},
		{"zk1:2181/a/.", nil, "", false},
		{"zk1:2181/a\x00", nil, "", false},
	}
	for _, test := range tests {
		servers, root, err := zkpaths.ParseConnect(test.connect)
		if !slices.Equal(servers, test.servers) || root != test.root || (err == nil) != test.ok {
			t.Errorf("ParseConnect(%q) = %q, %q, %v, want %q, %q, ok %v",
				test.connect, servers, root, err, test.servers, test.root, test.ok)
		}
	}
}

func FuzzParseConnect(f *testing.F) {
	for _, s := range []string{"zk1:2181,zk2:2182/a/b", "[::1]:2181/", "a:1//", "/", ",", "a:1/.."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		servers, root, err := zkpaths.ParseConnect(s)
		if err != nil {
			return
		}
		again, sameRoot, err := zkpaths.ParseConnect(strings.Join(servers, ",") + root)
		if err != nil || !slices.Equal(again, servers) || sameRoot != root {
			t.Errorf("ParseConnect(%q) = %q, %q, read again as %q, %q, %v", s, servers, root, again, sameRoot, err)
		}
		if len(servers) == 0 || root != "" && (root[0] != '/' || strings.HasSuffix(root, "/")) {
			t.Errorf("ParseConnect(%q) = %q, %q", s, servers, root)
		}
	})
}
