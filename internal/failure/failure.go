// Package failure names the kinds of trouble that an operator answers in different ways, and that the programs' exit
// codes tell apart. A package says with it what kind its errors are, and need not know a command line. And it finds what
// an error advises to do.
//
// An error has a kind when it, or one that it wraps, has the method Kind. What an exit code a kind means is for
// internal/cli to say.
package failure

import "errors"

// A Kind is a kind of trouble.
type Kind int

const (
	Other        Kind = iota // none of those below
	Usage                    // called wrongly: a bad id, URL or reference
	NotFound                 // what was named does not exist
	Conflict                 // it exists already, or is in use
	Mismatch                 // the archive's bytes are not what they should be
	Gap                      // a gap, or a place outside the archive
	Coordination             // ZooKeeper is unreachable
	Store                    // the store is unreachable or refuses
	Source                   // the source is unreachable or unfit
)

// Of returns the kind of the outermost error in err's tree that has one, else Other.
func Of(err error) Kind {
	var kinded interface {
		error
		Kind() Kind
	}
	if errors.As(err, &kinded) {
		return kinded.Kind()
	}
	return Other
}

// Hint returns the first next step for an operator in err's tree, or "": what the method Hint of an error says.
func Hint(err error) string {
	if h, ok := err.(interface{ Hint() string }); ok && h.Hint() != "" {
		return h.Hint()
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if below := e.Unwrap(); below != nil {
			return Hint(below)
		}
	case interface{ Unwrap() []error }:
		for _, below := range e.Unwrap() {
			if hint := Hint(below); hint != "" {
				return hint
			}
		}
	}
	return ""
}

// New returns an error of that kind which says text. As with errors.New, each is an error of its own.
func New(kind Kind, text string) error { return &kindError{kind, text} }

type kindError struct {
	kind Kind
	text string
}

func (e *kindError) Error() string { return e.text }
func (e *kindError) Kind() Kind    { return e.kind }
