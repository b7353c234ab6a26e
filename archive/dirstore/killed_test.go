package dirstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/gtid"
)

// The environment of a writer that is killed: its folder, and the step at which it dies.
const killedDir, killedAt = "DIRSTORE_TEST_DIR", "DIRSTORE_TEST_STEP"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		step, err := strconv.Atoi(os.Getenv(killedAt))
		if err == nil {
			err = writeAndDie(dir, step)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// dieAt makes s kill its own process at a step: before and after each of its calls, and in the middle of a write. What
// the steps leave out changes nothing that another process could see.
func dieAt(s *Store, step int) {
	real := s.calls
	die := func() {
		if step--; step == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	s.calls.write = func(f *os.File, b []byte) (int, error) {
		die()
		half := len(b) / 2
		if n, err := real.write(f, b[:half]); err != nil {
			return n, err
		}
		die()
		n, err := real.write(f, b[half:])
		die()
		return half + n, err
	}
	s.calls.sync = func(f *os.File) error {
		die()
		err := real.sync(f)
		die()
		return err
	}
	s.calls.link = func(root *os.Root, old, new string) error {
		die()
		err := real.link(root, old, new)
		die()
		return err
	}
}

// binlog is the bytes of the file that the writers archive, in segments of which each is in a folder that is new or not.
var binlog = bytes.Repeat([]byte("a byte of a binlog file; "), 300)

const segmentSize = 2500

func writeAndDie(dir string, step int) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	dieAt(s, step)
	return archiveAll(context.Background(), s)
}

// archiveAll archives what is missing of binlog, from wherever the archive ends.
func archiveAll(ctx context.Context, s *Store) error {
	a, created := archive.New(s, "orders"), time.Unix(1700000000, 0)
	if _, err := a.CreateOwner(ctx, archive.Owner{TaskUID: "uid", CreatedAt: created}); err != nil {
		return err
	}
	err := a.CreateTimeline(ctx, archive.Timeline{Timeline: 1, Flavor: gtid.MySQL, Reason: archive.ReasonFirst, CreatedAt: created, Term: 1, FirstFile: "mysql-bin.000001"})
	if err != nil {
		return err
	}
	compressor := archive.NewCompressor()
	end, err := a.Walk(ctx, nil)
	for err == nil && end.Offset < int64(len(binlog)) {
		raw := binlog[end.Offset:min(end.Offset+segmentSize, int64(len(binlog)))]
		meta := archive.Meta{
			File: end.File, Start: end.Offset, End: end.Offset + int64(len(raw)), Events: 1, LastTransactionEnd: -1, Term: 1,
			BytesHash: archive.Hash(raw), OverlapStart: end.Offset, OverlapHash: archive.Hash(raw),
		}
		end, err = a.Append(ctx, end, archive.Segment{Meta: meta, Frames: compressor.Compress(nil, raw)})
	}
	return err
}

// TestKilledAtEveryStep kills a writer with kill -9 at one step after the other, until none is left to be killed at: what
// is there by then is whole, and another writer goes on from it.
func TestKilledAtEveryStep(t *testing.T) {
	var killed int
	for step := 1; ; step++ {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), killedDir+"="+dir, killedAt+"="+strconv.Itoa(step))
		out, err := cmd.CombinedOutput()
		status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if died := ok && status.Signaled() && status.Signal() == syscall.SIGKILL; died {
			killed++
		} else if err != nil {
			t.Fatalf("step %d: %v: %s", step, err, out)
		}
		checkKilled(t, step, dir)
		if err == nil {
			break
		}
	}
	const objects, steps = 2 + 3, 3 + 2 + 2 + 2 // a write, the sync of the file, the link, the sync of the folder
	if killed < objects*steps {
		t.Errorf("killed at %d steps, want %d at least: the faults have not struck", killed, objects*steps)
	}
	t.Logf("killed at %d steps", killed)
}

// checkKilled wants what a killed writer has left to be right, and to be gone on from.
func checkKilled(t *testing.T, step int, dir string) {
	t.Helper()
	s := open(t, dir)
	a := archive.New(s, "orders")
	end, err := a.Walk(t.Context(), nil)
	if err != nil && !errors.Is(err, archive.ErrNoTimeline) {
		t.Fatalf("step %d: walk: %v", step, err)
	}
	report, err := a.Verify(t.Context(), nil)
	if err != nil && !errors.Is(err, archive.ErrNoTimeline) || len(report.Problems) > 0 || report.Bytes != end.Offset {
		t.Errorf("step %d: verify: %+v, %v; the archive ends with %s", step, report, err, end)
	}
	temps := tempsIn(t, dir)
	if len(temps) > 1 {
		t.Errorf("step %d: one writer has left %v", step, temps)
	}
	if err := archiveAll(t.Context(), s); err != nil {
		t.Fatalf("step %d: another writer: %v", step, err)
	}
	out := filepath.Join(t.TempDir(), "export")
	if err := a.Export(t.Context(), out, archive.Newest, nil); err != nil {
		t.Fatalf("step %d: export: %v", step, err)
	}
	if got, err := os.ReadFile(filepath.Join(out, "mysql-bin.000001")); err != nil || !bytes.Equal(got, binlog) {
		t.Errorf("step %d: %d bytes were archived (%v), other than the %d that were written", step, len(got), err, len(binlog))
	}
	if report, err := a.Verify(t.Context(), nil); err != nil || !report.OK {
		t.Errorf("step %d: verify in the end: %+v, %v", step, report, err)
	}
}

// tempsIn returns the temporary files in a folder and below.
func tempsIn(t *testing.T, dir string) (temps []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), archive.TempPrefix) {
			temps = append(temps, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return temps
}
