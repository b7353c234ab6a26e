//go:build faults

//faults:source

package worker_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/stores"
	"binkeeper/worker"
	"binkeeper/zkpaths"
)

func TestResetIsDiverged(t *testing.T) {
	for kind, reset := range map[servers.Kind]string{servers.MySQL: "RESET BINARY LOGS AND GTIDS", servers.MariaDB118: "RESET MASTER"} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, kind)
			f.createTask("orders")
			f.start("1")
			f.write(30)
			f.compare("orders")
			if err := f.src.Exec(t.Context(), reset); err != nil {
				t.Fatal(err)
			}
			f.awaitBlocked("orders", zkpaths.BlockedDiverged)
			f.accept("orders", zkpaths.AcceptNewTimeline)
			f.await("orders", "running", 20*time.Second, running)
			f.write(10)
			f.compare("orders")
			timelines := f.timelines("orders")
			if len(timelines) != 2 || timelines[1].Reason != archive.ReasonDiverged || timelines[1].Previous == nil {
				t.Errorf("timelines %+v", timelines)
			}
		})
	}
}

// A source is reset while nobody looks, and has written past the archive's end by then, with the same file names, the
// same server_uuid and the same GTIDs: only its bytes tell.
func TestResetAndWrittenOnIsDiverged(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	stop := f.start("1")
	f.write(30)
	f.compare("orders")
	f.write(5)
	end := f.await("orders", "an archive", 20*time.Second, func(v coord.TaskView) bool { return v.LastCommit.Position > 1000 }).LastCommit
	stop()
	if err := f.src.Exec(t.Context(), "RESET BINARY LOGS AND GTIDS"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		f.write(30)
		if err := f.src.Exec(t.Context(), "FLUSH BINARY LOGS"); err != nil {
			t.Fatal(err)
		}
	}
	if file := filepath.Join(f.src.DataDir(), end.File); sizeOf(t, file) < end.Position {
		t.Fatalf("the source has not written past %s:%d", end.File, end.Position)
	}
	f.start("1")
	f.awaitBlocked("orders", zkpaths.BlockedDiverged)
	f.accept("orders", zkpaths.AcceptNewTimeline)
	f.await("orders", "running", 20*time.Second, running)
	f.compare("orders")
}

func sizeOf(t *testing.T, name string) int64 {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// Without GTIDs only the stream shows that the source's binlog is another one: the
// operator's answer must be heard all the same.
func TestResetWithoutGTIDsIsDiverged(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL, "--gtid-mode=OFF", "--enforce-gtid-consistency=OFF")
	f.createTask("orders")
	f.startWith("1", stores.Open, func(w *worker.Worker) { w.AskAddress(time.Second, time.Second) })
	f.write(30)
	f.await("orders", "an archive", 20*time.Second, func(v coord.TaskView) bool { return v.LastCommit.Position > 5000 })
	if err := f.src.Exec(t.Context(), "RESET BINARY LOGS AND GTIDS"); err != nil {
		t.Fatal(err)
	}
	f.awaitBlocked("orders", zkpaths.BlockedDiverged)
	f.accept("orders", zkpaths.AcceptNewTimeline)
	f.await("orders", "running", 10*time.Second, running)
	f.write(10)
	f.compare("orders")
	if timelines := f.timelines("orders"); len(timelines) != 2 || timelines[1].Reason != archive.ReasonDiverged {
		t.Errorf("timelines %+v", timelines)
	}
}

// A crash has left a file of MariaDB's torn: it ends in the middle of an event, and the source can send no more of it.
// The archive ends the file at its last whole event and goes on with the next one; so does a primary that comes when
// nothing of that one is archived yet.
func TestTornFile(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MariaDB118)
	f.createTask("orders")
	stop := f.start("1")
	f.write(20)
	f.await("orders", "an archive", 20*time.Second, func(v coord.TaskView) bool { return v.LastCommit.Position > 3000 })
	f.src.Kill()
	torn, size := f.tearNewest()
	if err := f.src.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.write(5)
	files, err := f.src.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	next := filepath.Base(files[len(files)-1])
	inNext := func(v coord.TaskView) bool {
		return running(v) && v.LastCommit.File == next && v.LastCommit.Position > 0
	}
	v := f.await("orders", "the archive of "+next, 20*time.Second, inNext)
	if v.Status.Changes > 8 {
		t.Errorf("the state has changed %d times: %+v", v.Status.Changes, v.Status.Transitions)
	}
	stop()
	f.removeSegments("orders", next)
	f.accept("orders", zkpaths.AcceptArchive)
	f.start("1")
	f.await("orders", "the archive of "+next+" once more", 20*time.Second, inNext)
	f.mend(torn, size)
	f.compare("orders")
	if n := len(f.timelines("orders")); n != 1 {
		t.Errorf("%d timelines, want 1", n)
	}
}

// mend takes away what no replica can have: what is torn, and the flag that the file is in use, in the first byte of the
// flags of its first event.
func (f *fleet) mend(path string, size int64) {
	f.t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	const flags, inUse = 4 + 17, 1
	content[flags] &^= inUse
	if err := os.WriteFile(path, content[:size], 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// tearNewest puts the beginning of an event at the end of the source's newest file, and returns its path and the size
// that it had.
func (f *fleet) tearNewest() (path string, size int64) {
	f.t.Helper()
	files, err := f.src.BinlogFiles()
	if err != nil {
		f.t.Fatal(err)
	}
	path = files[len(files)-1]
	size = sizeOf(f.t, path)
	const whole, there, query = 1000, 100, 2
	event := binary.LittleEndian.AppendUint32(nil, uint32(time.Now().Unix()))
	event = binary.LittleEndian.AppendUint32(append(event, query), 1)
	event = binary.LittleEndian.AppendUint32(event, whole)
	event = binary.LittleEndian.AppendUint32(event, uint32(size)+whole)
	event = append(event, make([]byte, there-len(event))...)
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	defer out.Close()
	if _, err := out.Write(event); err != nil {
		f.t.Fatal(err)
	}
	return path, size
}
