package zkpaths

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

const (
	// Format is the payload format that this version writes.
	Format = 1
	// MaxPayload is the size, in bytes, that a payload stays under. ZooKeeper
	// drops the connection of a client that sends over 1 MiB, with all its requests.
	MaxPayload = 64 << 10
	// MaxGTIDSet is the size, in bytes, over which a GTID set is left out of a
	// LastCommit.
	MaxGTIDSet = 48 << 10
)

// Head is what every payload has.
type Head struct {
	Format  int `json:"format"`
	unknown map[string]json.RawMessage
}

func (h *Head) head() *Head { return h }

// A Payload is a pointer to one of this package's payload types.
type Payload interface{ head() *Head }

// An UnreadableError says that a payload is not what its path calls for.
type UnreadableError struct {
	Path    string
	Problem string
}

// Error is the message, on one line.
func (e *UnreadableError) Error() string { return e.Path + " is unreadable: " + e.Problem }

// Hint names the operator's next step.
func (e *UnreadableError) Hint() string {
	return "write the last good JSON back to " + e.Path
}

// A NewerFormatError says that a newer version has written a payload.
type NewerFormatError struct {
	Path   string
	Format int
}

// Error is the message, on one line.
func (e *NewerFormatError) Error() string {
	return fmt.Sprintf("%s has format %d, this version reads up to %d", e.Path, e.Format, Format)
}

// Hint names the operator's next step.
func (e *NewerFormatError) Hint() string { return "upgrade this program" }

// Decode reads the payload data that stands at path into p. It returns an
// *UnreadableError or a *NewerFormatError.
func Decode(path string, data []byte, p Payload) error {
	if len(data) == 0 {
		return &UnreadableError{path, "it is empty"}
	}
	if len(data) >= MaxPayload {
		return &UnreadableError{path, fmt.Sprintf("%d bytes, want under %d", len(data), MaxPayload)}
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return &UnreadableError{path, "not a JSON object: " + err.Error()}
	}
	var format struct{ Format *int }
	if err := json.Unmarshal(data, &format); err != nil || format.Format == nil || *format.Format < 1 {
		return &UnreadableError{path, "it has no format number"}
	}
	if *format.Format > Format {
		return &NewerFormatError{path, *format.Format}
	}
	if err := json.Unmarshal(data, p); err != nil {
		return &UnreadableError{path, err.Error()}
	}
	known := knownKeys(reflect.TypeOf(p).Elem())
	maps.DeleteFunc(keys, func(key string, _ json.RawMessage) bool {
		// encoding/json takes a key in any case: kept, it would win over ours.
		return slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, key) })
	})
	p.head().unknown = keys
	return nil
}

// Encode returns the payload to write at path, with the keys that Decode did
// not know.
func Encode(path string, p Payload) ([]byte, error) {
	h := p.head()
	h.Format = Format
	var b bytes.Buffer
	plain := json.NewEncoder(&b)
	plain.SetEscapeHTML(false) // a URL's & is for people to read
	if err := plain.Encode(p); err != nil {
		return nil, fmt.Errorf("encode %s: %w", path, err)
	}
	b.Truncate(b.Len() - len("}\n"))
	for _, key := range slices.Sorted(maps.Keys(h.unknown)) {
		name, _ := json.Marshal(key)
		fmt.Fprintf(&b, ",%s:%s", name, h.unknown[key])
	}
	b.WriteByte('}')
	if b.Len() >= MaxPayload {
		return nil, fmt.Errorf("encode %s: %d bytes, want under %d", path, b.Len(), MaxPayload)
	}
	return b.Bytes(), nil
}

func knownKeys(t reflect.Type) []string {
	var keys []string
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			keys = append(keys, knownKeys(f.Type)...)
			continue
		}
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			keys = append(keys, name)
		}
	}
	return keys
}

// Time is an instant in a payload; the zero Time is null.
type Time struct{ time.Time }

// At returns t for a payload: in UTC, to the millisecond.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// MarshalJSON gives RFC 3339 in UTC, or null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return json.Marshal(t.UTC().Format(time.RFC3339Nano))
}

// UnmarshalJSON reads RFC 3339 with a zone, or null.
func (t *Time) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*t = Time{}
		return nil
	}
	var read time.Time
	if err := read.UnmarshalJSON(data); err != nil {
		return err
	}
	if year := read.UTC().Year(); year < 0 || year > 9999 {
		return fmt.Errorf("time %s: its year in UTC has not four digits", data)
	}
	*t = Time{read.UTC()}
	return nil
}

// Duration is a length of time in a payload, written as text: "1s".
type Duration time.Duration

// String is text such as "1.5s".
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON gives text such as "1.5s".
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads text such as "1.5s".
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("duration %s: want text such as \"1s\"", data)
	}
	v, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("duration %q: want a number and a unit, such as 1s", text)
	}
	*d = Duration(v)
	return nil
}
