package cli

import (
	"fmt"
	"io"
	"strings"

	"binkeeper/internal/failure"
)

// A UsageError says that a command was called wrongly.
type UsageError struct {
	Err  error
	hint string
}

// Usage returns err as a usage error, or nil when err is nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return &UsageError{Err: err}
}

// Usagef returns a usage error that says what is wrong, and which flag or
// argument.
func Usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }

// Error is the message, on one line.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *UsageError) Unwrap() error { return e.Err }

// Kind is failure.Usage.
func (e *UsageError) Kind() failure.Kind { return failure.Usage }

// Hint names the page that helps, unless the error below knows better.
func (e *UsageError) Hint() string {
	if hint := Hint(e.Err); hint != "" {
		return hint
	}
	return e.hint
}

// An ExitError is an error of a command that has an exit code of its own.
type ExitError struct {
	Code int
	Err  error
	hint string
}

// Fail returns an error that ends the program with code. hint is the operator's
// next step, or "".
func Fail(code int, hint, format string, args ...any) error {
	return &ExitError{code, fmt.Errorf(format, args...), hint}
}

// Error is the message, on one line.
func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *ExitError) Unwrap() error { return e.Err }

// Hint is the operator's next step, or "".
func (e *ExitError) Hint() string { return e.hint }

// Print writes err to w as one line under the program's name, and its hint, if
// it has one, on the next.
func Print(w io.Writer, name string, err error) {
	fmt.Fprintf(w, "%s: %s\n", name, oneLine(err.Error()))
	if hint := Hint(err); hint != "" {
		fmt.Fprintf(w, "hint: %s\n", oneLine(hint))
	}
}

// Warn writes a warning to w as one line under the program's name.
func Warn(w io.Writer, name, text string) {
	fmt.Fprintf(w, "%s: warning: %s\n", name, oneLine(text))
}

// Hint returns the first hint in err's chain that says something, or "".
func Hint(err error) string { return failure.Hint(err) }

// oneLine keeps a server's words from looking like further lines of ours.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}
