package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// unmountPatience bounds how long a disk may stay in use by those that have just ended, or by writes under way.
const unmountPatience = 10 * time.Second

// A FullDisk is a small file system of its own (a tmpfs), which can be filled, made read-only, and pulled out.
type FullDisk struct {
	dir     string // where it is seen
	backing string // where it is mounted for as long as it lives
}

// NewFullDisk mounts a file system of a size, in bytes, on the existing empty folder dir. It needs root. Close it.
func NewFullDisk(dir string, size int64) (*FullDisk, error) {
	backing, err := os.MkdirTemp("", "disk-")
	if err != nil {
		return nil, fmt.Errorf("mount a disk on %s: %w", dir, err)
	}
	d := &FullDisk{dir: dir, backing: backing}
	if err := unix.Mount("disk", backing, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0755", size)); err != nil {
		return nil, errors.Join(fmt.Errorf("mount a disk on %s: %w%s", dir, err, needsRoot(err)), os.Remove(backing))
	}
	if err := d.Plug(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func needsRoot(err error) string {
	if errors.Is(err, unix.EPERM) {
		return ": this fault needs root"
	}
	return ""
}

// Dir is the folder that the disk is mounted on.
func (d *FullDisk) Dir() string { return d.dir }

func (d *FullDisk) filler() string { return filepath.Join(d.backing, ".filler") }

// Fill takes what is free, so that not one more byte can be written, and returns how much that was, in bytes.
func (d *FullDisk) Fill() (int64, error) {
	f, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, fmt.Errorf("fill the disk on %s: %w", d.dir, err)
	}
	defer f.Close()
	var filled int64
	for page := make([]byte, 64<<10); len(page) > 0; {
		n, err := f.Write(page)
		filled += int64(n)
		if errors.Is(err, unix.ENOSPC) {
			page = page[:len(page)/2]
		} else if err != nil {
			return filled, fmt.Errorf("fill the disk on %s: %w", d.dir, err)
		}
	}
	return filled, nil
}

// Free gives back what Fill has taken.
func (d *FullDisk) Free() error {
	if err := os.Remove(d.filler()); err != nil {
		return fmt.Errorf("free the disk on %s: %w", d.dir, err)
	}
	return nil
}

// ReadOnly makes every write fail with EROFS, until Writable. Writes that are under way are waited for.
func (d *FullDisk) ReadOnly() error { return d.remount(unix.MS_RDONLY) }

// Writable ends ReadOnly.
func (d *FullDisk) Writable() error { return d.remount(0) }

func (d *FullDisk) remount(flags uintptr) error {
	err := whileBusy(func() error { return unix.Mount("", d.dir, "", unix.MS_REMOUNT|unix.MS_BIND|flags, "") })
	if err != nil {
		return fmt.Errorf("mount the disk on %s again: %w", d.dir, err)
	}
	return nil
}

// Unplug takes the disk away: the empty folder below it is seen instead, until Plug. Files that are open stay usable.
func (d *FullDisk) Unplug() error {
	if err := unix.Unmount(d.dir, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the disk on %s: %w", d.dir, err)
	}
	return nil
}

// Plug puts the disk back, with all that it held.
func (d *FullDisk) Plug() error {
	if err := unix.Mount(d.backing, d.dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount the disk on %s: %w%s", d.dir, err, needsRoot(err))
	}
	return nil
}

// Close takes the disk away for good, with all that it holds.
func (d *FullDisk) Close() error {
	err := whileBusy(func() error { return unix.Unmount(d.dir, 0) })
	if errors.Is(err, unix.EINVAL) { // unplugged
		err = nil
	}
	err = errors.Join(err, whileBusy(func() error { return unix.Unmount(d.backing, 0) }), os.Remove(d.backing))
	if err != nil {
		return fmt.Errorf("unmount the disk on %s: %w", d.dir, err)
	}
	return nil
}

// whileBusy does what fails while a file is in use until it is not.
func whileBusy(do func() error) error {
	for deadline := time.Now().Add(unmountPatience); ; time.Sleep(5 * time.Millisecond) {
		if err := do(); !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
	}
}
