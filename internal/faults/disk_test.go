//go:build faults

//faults:tools

package faults

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFullDisk(t *testing.T) {
	d, err := NewFullDisk(t.TempDir(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(filepath.Join(d.Dir(), "below"), nil, 0o600); err != nil {
			t.Error(err)
		}
	}()
	write := func(name string) error { return os.WriteFile(filepath.Join(d.Dir(), name), make([]byte, 4096), 0o600) }
	steps := []struct {
		name string
		do   func() error
		want error
	}{
		{"new", func() error { return nil }, nil},
		{"full", func() error { _, err := d.Fill(); return err }, unix.ENOSPC},
		{"free", d.Free, nil},
		{"read-only", d.ReadOnly, unix.EROFS},
		{"writable", d.Writable, nil},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if err := write(step.name); !errors.Is(err, step.want) {
			t.Errorf("%s: a write gives %v, want %v", step.name, err, step.want)
		}
	}
	if err := d.Unplug(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(d.Dir()); err != nil || len(left) != 0 {
		t.Errorf("unplugged, it shows %v (%v)", left, err)
	}
	if err := d.Plug(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(d.Dir(), "new")); err != nil {
		t.Errorf("plugged in again: %v", err)
	}
}
