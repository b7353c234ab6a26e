//go:build integration

package archive_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestZstdCommand puts every file of an archive together as the package comment
// says, with no other tool than zstd.
func TestZstdCommand(t *testing.T) {
	b := sample(t)
	b.data(3<<20, 0x1234)
	for key, want := range b.want {
		command := exec.CommandContext(t.Context(), "sh", "-c", "zstd -dc "+filepath.Join(b.dir, task, key)+"/*.zst")
		var stderr bytes.Buffer
		command.Stderr = &stderr
		got, err := command.Output()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %d bytes, %v (%s), want %d", key, len(got), err, &stderr, len(want))
		}
	}
}
