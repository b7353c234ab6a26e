package secret

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Limits are the references that a process follows which has them from others:
// a client that may write a task's spec could else have any file that a worker can read,
// sent as a password to a host of his own. The zero value allows every variable of
// the environment, and no file.
type Limits struct {
	// Dirs are the folders below which a file may lie, absolute paths. They need
	// not exist.
	Dirs []string
	// EnvPrefix is what the name of a variable begins with.
	EnvPrefix string
}

// DefaultEnvPrefix is for secrets, and nothing else that a process finds in its
// environment.
const DefaultEnvPrefix = "BINKEEPER_SECRET_"

// DefaultDirs are where passwords are put for a service: by an operator, by a container
// engine, and by systemd.
func DefaultDirs() []string {
	dirs := []string{"/etc/binkeeper", "/run/secrets"}
	if credentials := os.Getenv("CREDENTIALS_DIRECTORY"); filepath.IsAbs(credentials) {
		dirs = append(dirs, credentials)
	}
	return dirs
}

// A NotAllowedError is a reference that the limits do not allow. Nothing was read.
type NotAllowedError struct{ problem, hint string }

// Error is the message, on one line.
func (e *NotAllowedError) Error() string { return e.problem }

// Hint is the operator's next step: to move the password, or the limits.
func (e *NotAllowedError) Hint() string { return e.hint }

// Resolve is Resolve within the limits. Its errors are those, and *NotAllowedError.
func (l Limits) Resolve(ref string) (password string, warnings []string, err error) {
	if err := Check(ref); err != nil {
		return "", nil, err
	}
	if name, ok := strings.CutPrefix(ref, envScheme); ok {
		if !strings.HasPrefix(name, l.EnvPrefix) {
			return "", nil, &NotAllowedError{
				fmt.Sprintf("password %s: this worker takes only variables that begin with %s (--secrets-env-prefix)", ref, l.EnvPrefix),
				fmt.Sprintf("name one with binkeeper task set ID --password-ref env:%s…, or start the workers with another --secrets-env-prefix", l.EnvPrefix)}
		}
		return fromEnv(ref, name)
	}
	path := strings.TrimPrefix(ref, fileScheme)
	f, err := l.open(ref, path)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return "", nil, &Error{ref, "it is no ordinary file", "name the file that holds the password"}
	}
	return fromFile(ref, path, f)
}

// open opens the file that path leads to. What is compared with the folders is the
// path without links, and what is opened is that path, below that folder: a link
// that is put there meanwhile leads nowhere else.
func (l Limits) open(ref, path string) (*os.File, error) {
	end := follow(path)
	for _, dir := range l.Dirs {
		dir = follow(dir)
		below, err := filepath.Rel(dir, end)
		if err != nil || !filepath.IsLocal(below) {
			continue
		}
		f, err := openBelow(dir, below)
		if err != nil {
			return nil, fileError(ref, err)
		}
		return f, nil
	}
	return nil, l.outside(ref, path, end)
}

// outside is the error for a file that lies in none of the folders.
func (l Limits) outside(ref, path, end string) error {
	dirs := strings.Join(l.Dirs, ", ")
	if dirs == "" {
		dirs = "none"
	}
	leads := ""
	if end != path {
		leads = ", which leads to " + end
	}
	return &NotAllowedError{
		fmt.Sprintf("password %s%s: it is in no folder that this worker takes passwords from (--secrets-dir: %s)", ref, leads, dirs),
		"put the password's file into one of these folders on every machine that runs a worker, and name it with binkeeper task set ID --password-ref file:…; " +
			"or start the workers with --secrets-dir of its folder"}
}

// openBelow opens a file below dir, through no link that leaves it. A pipe does not
// hold it up.
func openBelow(dir, name string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// follow returns where path leads: absolute, and without links as far as it exists.
func follow(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path // the working directory is gone: below it is nothing
	}
	missing := ""
	for at := path; ; at = filepath.Dir(at) {
		if end, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(end, missing)
		}
		if at == filepath.Dir(at) {
			return path
		}
		missing = filepath.Join(filepath.Base(at), missing)
	}
}
