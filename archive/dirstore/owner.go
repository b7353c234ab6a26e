package dirstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
)

// giveDir gives a folder that was just made to the owner of the folder above.
func (s *Store) giveDir(dir string) error {
	f, err := s.root.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return s.give(f, path.Dir(dir))
}

// give gives what root has just made to the owner of the folder that it is in. Where
// root may not, as on a share that squashes it, it stays whose it is: see Warning.
func (s *Store) give(f *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := s.root.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := owners(info)
	if !ok || owner.uid == 0 {
		return nil
	}
	if err := f.Chown(owner.uid, owner.gid); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}

// ids are the owner and group of a file.
type ids struct{ uid, gid int }

func owners(info fs.FileInfo) (ids, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ids{}, false
	}
	return ids{int(stat.Uid), int(stat.Gid)}, true
}

// Warning says why programs that run as another user may not be able to write to what
// is in dir, or returns "". Where the folder belongs to the owner of the store's, who is
// not root, or a group can write to it, that is as it should be.
func (s *Store) Warning(dir string) string {
	info, err := s.root.Stat(dir)
	above, aboveErr := s.root.Stat(".")
	if err != nil || aboveErr != nil {
		return ""
	}
	owner, ok := owners(info)
	aboveOwner, _ := owners(above)
	const othersWrite = 0o022
	if !ok || owner.uid == aboveOwner.uid && owner.uid != 0 || info.Mode().Perm()&othersWrite != 0 {
		return ""
	}
	folder, user := filepath.Join(s.path, dir), fmt.Sprintf("user id %d", owner.uid)
	if owner.uid == 0 {
		user = "root"
	}
	return fmt.Sprintf("the folder %s belongs to %s: workers that run as another user cannot write to it; give it to theirs: chown -R USER %s", folder, user, folder)
}
