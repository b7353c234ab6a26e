package dirstore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"binkeeper/archive"
)

// TestSweep wants what dead writers have left to go once it is old, and nothing else.
func TestSweep(t *testing.T) {
	const segment = "task/00000001/mysql-bin.000001/00000000000000000000.zst"
	probe := "probe-" + strings.Repeat("A7", 13)
	old, fresh := leftoverAge+time.Minute, leftoverAge-time.Minute
	tests := []struct {
		name string
		age  time.Duration
		goes bool
	}{
		{"task/.tmp-old", old, true},
		{"task/" + probe, old, true},
		{"task/00000001/.tmp-old", old, true},
		{"task/00000001/mysql-bin.000001/.tmp-old", old, true},
		{"task/owners/.tmp-old", old, true},

		{"task/.tmp-fresh", fresh, false},
		{"task/probe-" + strings.Repeat("B", 26), fresh, false},
		{"task/00000001/mysql-bin.000001/.tmp-fresh", 0, false},
		{segment, old, false},
		{"task/task.json", old, false},
		{"task/00000001/timeline.json", old, false},
		{"task/probe-1", old, false}, // of somebody's own
		{"task/probe-" + strings.Repeat("a", 26), old, false},
		{"task/" + probe + "A", old, false},
		{"task/00000001/" + probe, old, false}, // no probe is made there
		{"task/tmp-old", old, false},
		{"task/x.tmp-old", old, false},
		{"task/.snapshot/.tmp-old", old, false},
		{"task/.tmp-folder/object", old, false},
		{"other/.tmp-old", old, false},
		{"other/" + probe, old, false},
		{".tmp-old", old, false},
	}
	dir := t.TempDir()
	for _, test := range tests {
		name := filepath.Join(dir, test.name)
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o640); err != nil {
			t.Fatal(err)
		}
		changed := time.Now().Add(-test.age)
		if err := os.Chtimes(name, changed, changed); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "task", ".tmp-link")
	if err := os.Symlink(filepath.Join(dir, segment), link); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if removed, err := s.Sweep(canceled, "task"); !errors.Is(err, context.Canceled) || removed != 0 {
		t.Errorf("canceled: %d removed, %v", removed, err)
	}
	removed, err := s.Sweep(t.Context(), "task")
	if err != nil || removed != 5 {
		t.Errorf("%d removed, %v, want 5", removed, err)
	}
	for _, test := range tests {
		if _, err := os.Stat(filepath.Join(dir, test.name)); errors.Is(err, fs.ErrNotExist) != test.goes {
			t.Errorf("%s, %s old: got %v, want it to go: %t", test.name, test.age, err, test.goes)
		}
	}
	if _, err := os.Lstat(link); err != nil {
		t.Error(err)
	}
}

// Probe makes what Sweep takes for a probe.
func TestSweepKnowsProbes(t *testing.T) {
	s := open(t, t.TempDir())
	probes := recording{Store: s}
	if err := archive.Probe(t.Context(), &probes, "task"); err != nil {
		t.Fatal(err)
	}
	if len(probes.names) == 0 || slices.ContainsFunc(probes.names, func(name string) bool { return !archive.IsProbe(filepath.Base(name)) }) {
		t.Errorf("%q are not known as probes", probes.names)
	}
}

// A recording keeps the names that are created.
type recording struct {
	archive.Store
	names []string
}

func (r *recording) Create(ctx context.Context, name string, parts ...[]byte) error {
	r.names = append(r.names, name)
	return r.Store.Create(ctx, name, parts...)
}

// owner is some user that is not root.
const owner = 61234

// TestOwner checks that what root makes in a service's folder is the service's.
func TestOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, owner, owner+1); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	if err := s.Create(t.Context(), "task/00000001/object"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"task", "task/00000001", "task/00000001/object"} {
		if stat := stat(t, filepath.Join(dir, name)); stat.Uid != owner || stat.Gid != owner+1 {
			t.Errorf("%s belongs to %d:%d, want the owner of the store's folder", name, stat.Uid, stat.Gid)
		}
	}
	if warning := s.Warning("task"); warning != "" {
		t.Errorf("got the warning %q", warning)
	}

	// What was there before is left alone, and told.
	for _, uid := range []int{0, owner + 7} {
		if err := os.Chown(filepath.Join(dir, "task"), uid, uid); err != nil {
			t.Fatal(err)
		}
		if err := s.Create(t.Context(), "task/"+strings.Repeat("x", uid%10+1)); err != nil {
			t.Fatal(err)
		}
		if stat := stat(t, filepath.Join(dir, "task")); int(stat.Uid) != uid {
			t.Errorf("the folder belongs to %d now", stat.Uid)
		}
		if warning := s.Warning("task"); !strings.Contains(warning, "chown -R USER "+filepath.Join(dir, "task")) {
			t.Errorf("the folder belongs to %d: got the warning %q", uid, warning)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "task"), 0o770); err != nil {
		t.Fatal(err)
	}
	if warning := s.Warning("task"); warning != "" {
		t.Errorf("a group can write to it: got the warning %q", warning)
	}
}

// In a folder of root's own, what root makes stays root's, and that is told.
func TestOwnerRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Create(t.Context(), "task/object"); err != nil {
		t.Fatal(err)
	}
	if warning := s.Warning("task"); !strings.Contains(warning, "belongs to root") {
		t.Errorf("got the warning %q", warning)
	}
}

func stat(t *testing.T, name string) *syscall.Stat_t {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t)
}
