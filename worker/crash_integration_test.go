//go:build faults

//faults:worker

package worker_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/internal/stores"
	"binkeeper/zkpaths"
)

// TestPanicEndsOneTerm runs two tasks in one process, of which one makes it panic: in the dump, and in the claim, whose
// checkpoint has to be rebuilt. That one says so, does not spin, and is taken over by another worker; the other one goes
// on as if nothing had been.
func TestPanicEndsOneTerm(t *testing.T) {
	for name, checkpoint := range map[string]string{"of the dump": "", "of the claim": "{"} {
		t.Run(name, func(t *testing.T) {
			f, cursed := newFleet(t, servers.MySQL), t.TempDir()
			f.createTask("orders")
			f.createTask("cursed", func(s *zkpaths.Spec) {
				s.Archive, s.ReplicaUUID, s.ReplicaServerID = "file://"+cursed, "44444444-4444-4444-4444-444444444444", 4712
			})
			if checkpoint != "" {
				stop := f.startWith("2", stores.Open)
				f.await("cursed", "an archive", soon, running)
				stop()
				f.set(zkpaths.Checkpoint("cursed"), checkpoint)
			}
			var panics atomic.Int64
			f.startWith("1", func(url string) (archive.Store, error) {
				if strings.HasSuffix(url, cursed) {
					panics.Add(1)
					panic("the store's own")
				}
				return stores.Open(url)
			})
			before := f.await("orders", "running", soon, running)
			v := f.await("cursed", "the panic", soon, func(v coord.TaskView) bool { return v.Status.Reason == "panic" })
			if v.Status.State != zkpaths.StateStopped || !strings.Contains(v.Status.Detail, "the store's own") || v.Status.Hint == "" {
				t.Errorf("status %+v", v.Status)
			}
			begun, had := time.Now(), panics.Load()
			f.write(10)
			f.compare("orders")
			time.Sleep(max(0, 2*time.Second-time.Since(begun)))
			if n, most := panics.Load()-had, int64(3+time.Since(begun)/time.Second); n > most {
				t.Errorf("%d panics in %s, want %d at most", n, time.Since(begun), most)
			}
			if n := f.journal.count(`"stack":"goroutine`); n == 0 || f.journal.count("TestPanicEndsOneTerm") == 0 {
				t.Errorf("%d stacks in the log", n)
			}

			f.startWith("2", stores.Open)
			v = f.await("cursed", "a primary that can", soon, running)
			if v.Status.ServerID != "2" {
				t.Errorf("status %+v", v.Status)
			}
			f.await("cursed", "a standby again", 2*soon, func(v coord.TaskView) bool { return len(v.Line) == 2 })
			after := f.look("orders")
			if after.Status.Term != before.Status.Term || after.Status.ServerID != "1" || after.Status.State != zkpaths.StateRunning || after.Status.Reconnects != 0 {
				t.Errorf("the other task: %+v, before %+v", after.Status, before.Status)
			}
		})
	}
}

// poisons are what a source answers to whatever it is asked.
var poisons = map[string][]byte{
	"empty":       {0, 0, 0, 1},
	"ok-cut-off":  {1, 0, 0, 1, 0},
	"columns":     {9, 0, 0, 1, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	"few-columns": []byte("\x01\x00\x00\x01\x01" + "\x04\x00\x00\x02\x03def" + "\x05\x00\x00\x03\xfe\x00\x00\x02\x00" + "\x02\x00\x00\x04\x01x" + "\x05\x00\x00\x05\xfe\x00\x00\x02\x00"),
	"endless":     append([]byte{0xff, 0xff, 0xff, 1}, bytes.Repeat([]byte{7}, 40<<20)...),
}

// poison serves an answer to everything at an address.
func poison(t *testing.T, answer []byte, asked *atomic.Int64) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	read := func(c net.Conn) bool {
		var header [4]byte
		if _, err := io.ReadFull(c, header[:]); err != nil {
			return false
		}
		_, err := io.CopyN(io.Discard, c, int64(binary.LittleEndian.Uint32(header[:])&0xffffff))
		return err == nil
	}
	greeting := "\x0a9.7.4\x00\x01\x00\x00\x0012345678\x00\x00\xa2\xff\x02\x00\xff\xc7\x15" + strings.Repeat("\x00", 10) + "123456789012\x00mysql_native_password\x00"
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = c.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(greeting))), greeting...))
			if read(c) {
				_, _ = c.Write([]byte("\x07\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00"))
			}
			for read(c) {
				asked.Add(1)
				_, _ = c.Write(answer)
			}
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// TestPoisonousSources serves, in one process, tasks whose sources answer as none does, and one good task.
func TestPoisonousSources(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	asked := map[string]*atomic.Int64{}
	for id, answer := range poisons {
		asked[id] = new(atomic.Int64)
		address := poison(t, answer, asked[id])
		f.createTask(id, func(s *zkpaths.Spec) { s.Source = "mysql://binkeeper@" + address + "?ssl-mode=DISABLED" })
	}
	f.start("1")
	before := f.await("orders", "running", soon, running)
	for id, n := range asked {
		v := f.await(id, "a reason", soon, func(v coord.TaskView) bool { return v.Status.Reason != "" })
		if v.Status.State != zkpaths.StateStarting || v.Status.Reason != "source-away" || !strings.Contains(v.Status.Detail, "gives no good answer to") ||
			!strings.Contains(v.Status.Hint, "what stands between") || n.Load() == 0 {
			t.Errorf("%s: asked %d times, status %+v", id, n.Load(), v.Status)
		}
	}
	f.write(10)
	f.compare("orders")
	after := f.look("orders")
	if after.Status.Term != before.Status.Term || after.Status.State != zkpaths.StateRunning || after.Status.Reconnects != 0 {
		t.Errorf("the good task: %+v, before %+v", after.Status, before.Status)
	}
}
