// Package stores opens an archive's store by its URL. It is the only place that
// knows which stores there are.
//
//	file:///absolute/path   a folder, which every worker must see under this path
//	/absolute/path          the same
//
// It promises nothing of what a store does: that is package archive's contract.
package stores

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"binkeeper/archive"
	"binkeeper/archive/dirstore"

	"binkeeper/internal/failure"
)

// A URLError says that a text names no store that this version knows. It shows
// only the text's scheme, since the rest may hold a secret.
type URLError struct {
	problem string
	hint    string
}

// Error is the message, on one line.
func (e *URLError) Error() string { return "archive URL: " + e.problem }

// Kind is failure.Usage.
func (e *URLError) Kind() failure.Kind { return failure.Usage }

// Hint shows what to write instead.
func (e *URLError) Hint() string { return e.hint }

const forms = "give file:///absolute/path"

// CheckURL returns a *URLError when rawURL names no store. It looks at the text
// alone.
func CheckURL(rawURL string) error {
	_, err := folder(rawURL)
	return err
}

// Open opens the store at rawURL. It returns a *URLError, or the store's own
// error when it cannot be reached.
func Open(rawURL string) (archive.Store, error) {
	dir, err := folder(rawURL)
	if err != nil {
		return nil, err
	}
	return dirstore.Open(dir)
}

// Warning says why other programs may not be able to use what this one has made in dir
// of store, or "".
func Warning(store archive.Store, dir string) string {
	if s, ok := store.(interface{ Warning(dir string) string }); ok {
		return s.Warning(dir)
	}
	return ""
}

// folder returns the absolute path that rawURL names.
func folder(rawURL string) (string, error) {
	if rawURL == "" {
		return "", &URLError{"it is empty", forms}
	}
	if filepath.IsAbs(rawURL) {
		return clean(rawURL)
	}
	scheme, _, found := strings.Cut(rawURL, "://")
	switch {
	case !found:
		return "", &URLError{"a relative path means another folder to each worker", forms}
	case strings.EqualFold(scheme, "s3"):
		return "", &URLError{"s3:// is not supported by this version", forms}
	case !strings.EqualFold(scheme, "file"):
		return "", &URLError{fmt.Sprintf("unknown scheme %q", scheme), forms}
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", &URLError{"it cannot be read as a URL", forms}
	}
	switch {
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", &URLError{"file:// takes a path and nothing else", forms}
	case u.Host != "":
		return "", &URLError{"file:// takes no host: the path begins with a third slash", forms}
	case !filepath.IsAbs(u.Path):
		return "", &URLError{"the path is not absolute", forms}
	}
	return clean(u.Path)
}

func clean(path string) (string, error) {
	if strings.ContainsRune(path, 0) {
		return "", &URLError{"the path holds a zero byte", forms}
	}
	if path = filepath.Clean(path); path == "/" {
		return "", &URLError{"the root folder cannot be an archive", forms}
	}
	return path, nil
}
