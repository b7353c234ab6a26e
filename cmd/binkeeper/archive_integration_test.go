//go:build faults

//faults:commands

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"binkeeper/archive"
	"binkeeper/internal/cli"
	"binkeeper/internal/gtid"
	"binkeeper/internal/servers"
	"binkeeper/internal/servers/servertest"
	"binkeeper/internal/stores"
	"binkeeper/zkpaths"
)

// archiveOf makes an archive of the task orders in a new folder: two files of two
// segments each, of which it returns the bytes.
func archiveOf(t *testing.T, serverUUID string) (dir string, files map[string][]byte) {
	t.Helper()
	dir = t.TempDir()
	store, err := stores.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	a := archive.New(store, "orders")
	if _, err := a.CreateOwner(t.Context(), archive.Owner{TaskUID: "the-task"}); err != nil {
		t.Fatal(err)
	}
	err = a.CreateTimeline(t.Context(), archive.Timeline{Timeline: 1, Flavor: gtid.MySQL, ServerUUID: serverUUID, Reason: archive.ReasonFirst, FirstFile: "mysql-bin.000001"})
	if err != nil {
		t.Fatal(err)
	}
	end, err := a.Walk(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	files = map[string][]byte{}
	compressor := archive.NewCompressor()
	for _, name := range []string{"mysql-bin.000001", "mysql-bin.000002"} {
		for i := range 2 {
			raw := bytes.Repeat([]byte(name), 1000+i)
			meta := archive.Meta{Task: "orders", Timeline: 1, File: name, Start: end.Offset, End: end.Offset + int64(len(raw)), LastTransactionEnd: -1,
				OverlapStart: end.Offset, OverlapHash: archive.Hash(raw), BytesHash: archive.Hash(raw), Term: 1, ServerID: "1"}
			if name == "mysql-bin.000001" && i == 1 {
				meta.EndsFile, meta.NextFile = true, "mysql-bin.000002"
			}
			if end, err = a.Append(t.Context(), end, archive.Segment{Meta: meta, Frames: compressor.Compress(nil, raw)}); err != nil {
				t.Fatal(err)
			}
			files[name] = append(files[name], raw...)
		}
	}
	return dir, files
}

// segment is the path of the nth segment of a file.
func segment(t *testing.T, dir, file string, n int) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "orders", "00000001", file, "*.zst"))
	if err != nil || len(paths) <= n {
		t.Fatalf("segments of %s: %v, %v", file, paths, err)
	}
	return paths[n]
}

func TestArchiveWithoutZooKeeper(t *testing.T) {
	dir, files := archiveOf(t, "a")
	o := newOperator(t, "BINKEEPER_ARCHIVE=file://"+dir, "BINKEEPER_ZOOKEEPER=127.0.0.1:1")

	var list filesOutput
	o.json(&list, "archive", "list", "orders")
	if len(list.Files) != 2 || list.Files[0].File != "mysql-bin.000001" || !list.Files[0].Complete || list.Files[1].Complete || list.Files[1].End != int64(len(files["mysql-bin.000002"])) {
		t.Errorf("archive list: %+v", list)
	}
	var report archive.Report
	o.json(&report, "archive", "verify", "orders")
	if !report.OK || report.Files != 2 {
		t.Errorf("archive verify: %+v", report)
	}

	out := filepath.Join(t.TempDir(), "new", "folder")
	var exported exportOutput
	o.json(&exported, "archive", "export", "orders", "--output", out)
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want the %d of the source", name, len(got), err, len(want))
		}
	}
	if want := (exportEnd{1, "mysql-bin.000002", int64(len(files["mysql-bin.000002"]))}); exported.End != want || len(exported.Files) != 2 {
		t.Errorf("archive export: %+v", exported)
	}
	o.run(cli.Conflict, "archive", "export", "orders", "--output", out)
	all := t.TempDir()
	o.run(cli.OK, "archive", "export", "orders", "--output", all, "--timeline", "all")
	if _, err := os.Stat(filepath.Join(all, "00000001", "mysql-bin.000001")); err != nil {
		t.Error(err)
	}
	o.run(cli.Gap, "archive", "export", "orders", "--output", t.TempDir(), "--timeline", "7")
	for _, verb := range []string{"list", "verify", "export"} {
		args := []string{"archive", verb, "users"}
		if verb == "export" {
			args = append(args, "--output", t.TempDir())
		}
		o.run(cli.NotFound, args...)
		o.run(cli.NoStore, append(args, "--archive", dir+"/missing")...)
	}
}

func TestArchiveDamaged(t *testing.T) {
	t.Run("flipped bit", func(t *testing.T) {
		dir, _ := archiveOf(t, "a")
		path := segment(t, dir, "mysql-bin.000001", 1)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-8] ^= 1
		if err := os.WriteFile(path, data, 0o640); err != nil {
			t.Fatal(err)
		}
		o := newOperator(t, "BINKEEPER_ARCHIVE="+dir)
		stdout, stderr := o.run(cli.Mismatch, "archive", "verify", "orders")
		if !strings.Contains(stdout, "mysql-bin.000001") || !strings.Contains(stderr, "\nhint: ") {
			t.Errorf("stdout %s\nstderr %s", stdout, stderr)
		}
		out := t.TempDir()
		o.run(cli.Mismatch, "archive", "export", "orders", "--output", out)
		if _, err := os.Stat(filepath.Join(out, "mysql-bin.000001")); err == nil {
			t.Error("a damaged file looks whole")
		}
	})
	t.Run("hole", func(t *testing.T) {
		dir, files := archiveOf(t, "a")
		if err := os.Remove(segment(t, dir, "mysql-bin.000001", 1)); err != nil {
			t.Fatal(err)
		}
		o := newOperator(t, "BINKEEPER_ARCHIVE="+dir)
		stdout, _ := o.run(cli.Mismatch, "archive", "verify", "orders", "-o", "json")
		var report archive.Report
		if err := json.Unmarshal([]byte(stdout), &report); err != nil || report.OK || len(report.Problems) == 0 {
			t.Errorf("archive verify: %v: %s", err, stdout)
		}
		out := t.TempDir()
		o.run(cli.Gap, "archive", "export", "orders", "--output", out)
		got, err := os.ReadFile(filepath.Join(out, "mysql-bin.000001"))
		if err != nil || len(got) == 0 || !bytes.HasPrefix(files["mysql-bin.000001"], got) {
			t.Errorf("what is before the hole: %d bytes, %v", len(got), err)
		}
		if _, err := os.Stat(filepath.Join(out, "mysql-bin.000002")); err == nil {
			t.Error("what is beyond the hole was written")
		}
	})
}

// With ZooKeeper at hand, verify knows what the archive has lost at its end.
func TestArchiveLostItsEnd(t *testing.T) {
	zookeeper := servertest.StartZooKeeper(t, 1).Addr()
	dir, files := archiveOf(t, "a")
	o := newOperator(t, "BINKEEPER_ZOOKEEPER="+zookeeper)
	o.run(cli.OK, "task", "create", "orders", "--source", sourceURL("u", "127.0.0.1"), "--password-ref", "env:X", "--archive", dir, "--skip-checks")
	checkpoint := func(text string) {
		t.Helper()
		if _, err := servers.ZKCli(t.Context(), zookeeper, "set", zkpaths.Checkpoint("orders"), text); err != nil {
			t.Fatal(err)
		}
	}
	o.run(cli.OK, "archive", "verify", "orders") // before the first claim

	const file = "mysql-bin.000002"
	start, end := 1000*len(file), len(files[file]) // of its second segment
	checkpoint(fmt.Sprintf(`{"format":1,"term":1,"timeline":1,"file":%q,"position":%d,"segment_file":%[1]q,"segment_start":%d,"segment_end":%[2]d}`, file, end, start))
	o.run(cli.OK, "archive", "verify", "orders")
	if err := os.Remove(segment(t, dir, file, 1)); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := o.run(cli.Mismatch, "archive", "verify", "orders", "-o", "json")
	var report archive.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || report.OK || len(report.Problems) != 1 {
		t.Fatalf("archive verify: %v: %s", err, stdout)
	}
	want := archive.New(nil, "orders").SegmentName(1, file, int64(start))
	if p := report.Problems[0]; p.Object != want || p.Offset != int64(start) || !strings.Contains(stderr, "--accept-archive") {
		t.Errorf("got %+v, stderr %s; want %s at %d", p, stderr, want, start)
	}
	o.run(cli.OK, "archive", "verify", "orders", "--archive", dir) // a bare archive cannot know
	if err := os.RemoveAll(filepath.Join(dir, "orders")); err != nil {
		t.Fatal(err)
	}
	o.run(cli.Mismatch, "archive", "verify", "orders")
	o.run(cli.NotFound, "archive", "list", "orders")

	checkpoint("garbage")
	if _, stderr := o.run(cli.NotFound, "archive", "verify", "orders"); !strings.Contains(stderr, "the checkpoint is unreadable") {
		t.Errorf("with an unreadable checkpoint: %s", stderr)
	}
}
