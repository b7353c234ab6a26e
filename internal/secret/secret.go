// Package secret resolves the references by which a task names its password, so
// that the password itself stands in no znode, flag or log.
//
//	file:PATH   the content of PATH, without one trailing newline
//	env:NAME    the environment variable NAME, as it is
//
// A reference means something only on the machine, and to the user, that
// resolves it. Resolve follows any, for a program that its own user has given it;
// Limits say which ones a program follows that has it from others. Callers resolve again at every connection, so that a password
// can be changed in place. No error or warning of this package shows a password,
// nor a malformed reference, which may well be one.
package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"binkeeper/internal/failure"
)

// MaxSize is the size, in bytes, over which a file is taken for something else
// than a password.
const MaxSize = 64 << 10

// A RefError says that a text is no reference to a password.
type RefError struct{ problem string }

// Error is the message, on one line.
func (e *RefError) Error() string { return "password reference: " + e.problem }

// Kind is failure.Usage.
func (e *RefError) Kind() failure.Kind { return failure.Usage }

// Hint shows the two forms.
func (e *RefError) Hint() string {
	return "give file:/path/of/a/file or env:NAME_OF_A_VARIABLE; a password itself is never taken"
}

// An Error says that a well-formed reference gives no password here.
type Error struct {
	Ref     string
	Problem string
	hint    string
}

// Error is the message, on one line.
func (e *Error) Error() string { return "password " + e.Ref + ": " + e.Problem }

// Kind is failure.Source.
func (e *Error) Kind() failure.Kind { return failure.Source }

// Hint is the operator's next step, or "".
func (e *Error) Hint() string { return e.hint }

// Check returns a *RefError when ref is not of a form that Resolve knows.
func Check(ref string) error {
	scheme, rest, _ := strings.Cut(ref, ":")
	switch {
	case scheme != "file" && scheme != "env":
		return &RefError{"want file:PATH or env:NAME"}
	case rest == "":
		return &RefError{"nothing follows " + scheme + ":"}
	case strings.ContainsAny(rest, "\x00\n\r"):
		return &RefError{"a control character follows " + scheme + ":"}
	}
	return nil
}

// Resolve returns the password that ref refers to on this machine, and warnings
// that an operator should see, each one sentence. Its errors are *RefError and
// *Error.
func Resolve(ref string) (password string, warnings []string, err error) {
	if err := Check(ref); err != nil {
		return "", nil, err
	}
	if name, ok := strings.CutPrefix(ref, envScheme); ok {
		return fromEnv(ref, name)
	}
	path := strings.TrimPrefix(ref, fileScheme)
	f, err := os.Open(path)
	if err != nil {
		return "", nil, fileError(ref, err)
	}
	defer f.Close()
	return fromFile(ref, path, f)
}

const fileScheme, envScheme = "file:", "env:"

func fromEnv(ref, name string) (string, []string, error) {
	password := os.Getenv(name)
	if password == "" {
		return "", nil, &Error{ref, "the variable is not set, or empty", "set it in the environment of this very process"}
	}
	return password, nil, nil
}

func fromFile(ref, path string, f *os.File) (string, []string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", nil, fileError(ref, err)
	}
	if info.IsDir() {
		return "", nil, &Error{ref, "it is a folder", "name the file that holds the password"}
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return "", nil, fileError(ref, err)
	}
	if len(data) > MaxSize {
		return "", nil, &Error{ref, fmt.Sprintf("it is larger than %d bytes", MaxSize), "name the file that holds the password"}
	}
	password := withoutNewline(string(data))
	if password == "" {
		return "", nil, &Error{ref, "the file is empty", "write the password into it"}
	}
	return password, warnings(path, info), nil
}

func warnings(path string, info fs.FileInfo) (list []string) {
	if info.Mode().Perm()&0o004 != 0 {
		list = append(list, fmt.Sprintf("everybody on this machine can read %s (mode %04o): chmod 0640 or 0600 it", path, info.Mode().Perm()))
	}
	if !filepath.IsAbs(path) {
		list = append(list, fmt.Sprintf("%s is relative: every worker looks for it in its own working directory", path))
	}
	return list
}

func withoutNewline(s string) string {
	if cut, ok := strings.CutSuffix(s, "\r\n"); ok {
		return cut
	}
	return strings.TrimSuffix(s, "\n")
}

func fileError(ref string, err error) *Error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &Error{ref, "there is no such file", "the file must exist on every machine that runs a worker, and here"}
	case errors.Is(err, fs.ErrPermission):
		return &Error{ref, "permission denied", "let the user of this process read it"}
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return &Error{ref, err.Error(), ""}
}
