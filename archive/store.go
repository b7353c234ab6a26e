package archive

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"strings"

	"binkeeper/internal/failure"
)

// ErrExist is what Create returns for a name that is taken.
var ErrExist = errors.New("object exists")

// ErrNotExist is what Open returns for a name that is not taken.
var ErrNotExist = errors.New("object does not exist")

// TempPrefix begins the last part of every temporary name in a store. No object
// has such a name, and List shows none.
const TempPrefix = ".tmp-"

// A Store holds immutable objects under slash-separated names that CheckName
// accepts. It is safe for concurrent use, by any number of processes. An error
// that is neither ErrExist, ErrNotExist nor the context's is a *StoreError.
type Store interface {
	// Create stores the concatenation of parts under name and returns once it
	// would survive a crash. If name is taken, Create leaves it alone and returns
	// ErrExist, but only when what has the name is itself durable. After any
	// other error the object may or may not exist: a caller retries with the
	// same bytes and reads back on ErrExist.
	Create(ctx context.Context, name string, parts ...[]byte) error

	// Open reads length bytes from offset, or to the end when length is
	// negative. A range that reaches past the end is cut there, and one that
	// begins there is empty. It returns ErrNotExist.
	Open(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error)

	// List yields what is directly inside dir ("" is the root) and sorts after
	// the name after, in lexical order. A dir that does not exist is empty, and
	// an empty dir may be shown or not. Objects that come while it runs may be
	// missing, whatever their order. It ends after the first error.
	List(ctx context.Context, dir, after string) iter.Seq2[Entry, error]

	// Sync makes what stands under names durable and returns once it would survive a
	// crash: the objects, and the folders that they are in. Their writers may have
	// died, or failed, just before that. A store in which nothing can be read before it
	// is durable has nothing to do, and returns nil. One that looks returns ErrNotExist
	// for a name that is not taken.
	Sync(ctx context.Context, names ...string) error

	// Delete removes an object for good. Deleting what is not there is no error.
	Delete(ctx context.Context, name string) error

	// Sweep removes what writers that died have left in dir and below it, and returns
	// how much: temporary names, and in dir itself probes, that were not changed for
	// a day. A store that keeps none has nothing to do.
	Sweep(ctx context.Context, dir string) (removed int, err error)

	// String is the store's URL, without secrets.
	String() string
}

// An Entry is one name in a folder of a store.
type Entry struct {
	Name string // within its folder
	Size int64  // in bytes; 0 for a folder
	Dir  bool   // whether it is a folder
}

// A StoreError says that a store could not be reached or refused: nothing is
// known to be wrong with what it holds.
type StoreError struct {
	Store  string // its URL
	Op     string // what was tried, for example "create"
	Name   string // the object or folder; "" is the store's root
	Err    error
	Advice string // the operator's next step, or ""
}

// Error is the message, on one line.
func (e *StoreError) Error() string {
	return strings.Join(strings.Fields(fmt.Sprintf("store %s: %s %s", e.Store, e.Op, e.Name)), " ") + ": " + e.Err.Error()
}

// Kind is failure.Store.
func (e *StoreError) Kind() failure.Kind { return failure.Store }

// Unwrap is the cause.
func (e *StoreError) Unwrap() error { return e.Err }

// Hint is the operator's next step, or "".
func (e *StoreError) Hint() string { return e.Advice }

// CheckName returns an error unless name can be an object's or a folder's: slash
// separated parts, none of them empty, "." or "..", none temporary, without
// control characters or backslashes.
func CheckName(name string) error {
	for part := range strings.SplitSeq(name, "/") {
		if !validPart(part) {
			return fmt.Errorf("invalid object name %q", name)
		}
	}
	return nil
}

// maxPart is the longest file name of the usual file systems, in bytes.
const maxPart = 255

func validPart(part string) bool {
	isBad := func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == '/' }
	return part != "" && part != "." && part != ".." && len(part) <= maxPart &&
		!strings.HasPrefix(part, TempPrefix) && strings.IndexFunc(part, isBad) < 0
}

// probePrefix begins the name of a probe, which goes on with rand.Text.
const probePrefix = "probe-"

var probeLength = len(probePrefix) + len(rand.Text())

// IsProbe reports whether an object with this name in its folder is one that Probe has
// made.
func IsProbe(name string) bool {
	digits, ok := strings.CutPrefix(name, probePrefix)
	return ok && len(name) == probeLength && strings.Trim(digits, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// Probe writes one key twice in dir ("" is the root) and deletes it. It returns a
// *StoreError for a store that accepts the second write, since two writers would
// overwrite each other there.
func Probe(ctx context.Context, store Store, dir string) (err error) {
	name := path.Join(dir, probePrefix+rand.Text())
	first, second := []byte("first"), []byte("second")
	defer func() {
		if derr := store.Delete(context.WithoutCancel(ctx), name); derr != nil && err == nil {
			err = fmt.Errorf("delete probe: %w", derr)
		}
	}()
	if err := store.Create(ctx, name, first); err != nil {
		return fmt.Errorf("write probe: %w", err)
	}
	unfit := func(problem string) error {
		return &StoreError{Store: store.String(), Op: "probe", Name: name, Err: errors.New(problem),
			Advice: "use a store whose create-only writes are refused when the name is taken"}
	}
	switch err := store.Create(ctx, name, second); {
	case err == nil:
		return unfit("a second write of the same name was accepted")
	case !errors.Is(err, ErrExist):
		return fmt.Errorf("write probe again: %w", err)
	}
	got, err := readAll(ctx, store, name, int64(len(first)+len(second)))
	if err != nil {
		return fmt.Errorf("read probe: %w", err)
	}
	if !bytes.Equal(got, first) {
		return unfit("what was written first did not come back")
	}
	return nil
}

// readAll returns the first limit bytes of an object.
func readAll(ctx context.Context, store Store, name string, limit int64) ([]byte, error) {
	return readRange(ctx, store, name, 0, limit)
}

// readRange returns length bytes from offset, or fewer when the object ends
// before.
func readRange(ctx context.Context, store Store, name string, offset, length int64) ([]byte, error) {
	r, err := store.Open(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}
