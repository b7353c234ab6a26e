//go:build faults

//faults:archive

package worker_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
)

// A primary removes what dead writers have left in the archive that it goes on with, where it is old, and nothing else.
func TestSweep(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	stop := f.start("1")
	f.write(10)
	f.compare("orders")
	stop()
	files := f.segmentFiles("orders")
	folder := filepath.Dir(files[0])
	leave := func(name string, age time.Duration) string {
		t.Helper()
		if err := os.WriteFile(name, []byte("x"), 0o640); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-age)
		if err := os.Chtimes(name, then, then); err != nil {
			t.Fatal(err)
		}
		return name
	}
	old := []string{leave(filepath.Join(folder, ".tmp-old"), 25*time.Hour), leave(filepath.Join(f.dir, "orders", "probe-"+strings.Repeat("X", 26)), 25*time.Hour)}
	fresh := leave(filepath.Join(folder, ".tmp-fresh"), time.Hour)
	f.start("1")
	f.await("orders", "the leftovers gone", 20*time.Second, func(coord.TaskView) bool {
		for _, name := range old {
			if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
				return false
			}
		}
		return true
	})
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("what a writer may still hold: %v", err)
	}
	f.write(10)
	f.compare("orders")
}
