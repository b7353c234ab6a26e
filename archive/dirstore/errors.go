package dirstore

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"binkeeper/archive"
)

// begin checks what every operation on a name does first.
func (s *Store) begin(ctx context.Context, op, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.fail(op, "", archive.CheckName(name))
}

// isNotExist reports whether err says that there is no such object. What would be
// below an object is not there either.
func isNotExist(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// fail returns err, if it is one, as the store's.
func (s *Store) fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	// The operation and the name are said once; what remains is the cause.
	if cause := syscall.Errno(0); errors.As(err, &cause) {
		return &archive.StoreError{Store: s.String(), Op: op, Name: name, Err: cause, Advice: advice(op, cause)}
	}
	return &archive.StoreError{Store: s.String(), Op: op, Name: name, Err: err}
}

// advice is the operator's next step after a failed system call, or "".
func advice(op string, cause syscall.Errno) string {
	switch cause {
	case syscall.ENOENT:
		if op == "open" {
			return "mount the share, or make the folder; it is not made, since a share that is not mounted looks the same"
		}
		return "the folder was moved or deleted while it was in use: put it back, or start again"
	case syscall.ENOTDIR:
		return "an archive needs a folder; this is something else"
	case syscall.EACCES:
		return "give the user that runs this program read, write and search permission"
	case syscall.EROFS:
		return "mount the file system for writing; if it has become read-only by itself, look for disk errors in the kernel's log"
	case syscall.ENOSPC, syscall.EDQUOT:
		return "free some space or raise the quota; archiving goes on by itself then"
	case syscall.EPERM, syscall.EOPNOTSUPP, syscall.EMLINK:
		return "use a file system with hard links, for example ext4, xfs or NFS"
	case syscall.ESTALE:
		return "the share was exported anew: mount it again and restart this program"
	case syscall.EIO:
		return "look for disk errors in the kernel's log"
	}
	return ""
}
