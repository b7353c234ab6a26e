package gtid

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"
)

// words makes little-endian bytes of numbers of 8 bytes, and takes bytes as they are.
func words(parts ...any) []byte {
	var out []byte
	for _, part := range parts {
		switch part := part.(type) {
		case int:
			out = binary.LittleEndian.AppendUint64(out, uint64(part))
		case []byte:
			out = append(out, part...)
		}
	}
	return out
}

func unhex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}

var sidBytes = unhex("896e788218fe11efab8822222d34d411")

const sidText = "896e7882-18fe-11ef-ab88-22222d34d411"

func TestDecodeMySQL(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want string
		bad  bool
	}{
		{"classic, empty", words(0), "", false},
		{"classic", words(1, sidBytes, 2, 1, 4, 7, 8), sidText + ":1-3:7", false},
		{"tagged, empty", unhex("0100000000000001"), "", false},
		{"tagged, no tag", words(unhex("0101000000000001"), sidBytes, []byte{0}, 1, 1, 4), sidText + ":1-3", false},
		{"tagged", words(unhex("0102000000000001"), sidBytes, []byte{0}, 1, 1, 5, sidBytes, []byte("\x08aaaa"), 1, 1, 2), sidText + ":1-4:aaaa:1", false},
		{"nothing", nil, "", true},
		{"no UUID", words(1), "", true},
		{"no intervals", words(1, sidBytes), "", true},
		{"too few intervals", words(1, sidBytes, 2, 1, 4), "", true},
		{"too many intervals", words(1, sidBytes, -1, 1, 4), "", true},
		{"too many bytes", words(1, sidBytes, 1, 1, 4, 5), "", true},
		{"empty interval", words(1, sidBytes, 1, 4, 4), "", true},
		{"interval from 0", words(1, sidBytes, 1, 0, 4), "", true},
		{"no tag length", words(unhex("0101000000000001"), sidBytes), "", true},
		{"tag cut off", words(unhex("0101000000000001"), sidBytes, []byte("\x08aa")), "", true},
		{"tag in upper case", words(unhex("0101000000000001"), sidBytes, []byte("\x04AA"), 1, 1, 2), "", true},
	}
	for _, tt := range tests {
		s, err := DecodeMySQL(tt.in)
		if (err != nil) != tt.bad || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want an error: %v", tt.name, err, tt.bad)
		}
		if err == nil && s.String() != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, s, tt.want)
		}
	}
}

func TestDecodeMariaDBList(t *testing.T) {
	tests := []struct {
		name string
		in   []byte
		want string
		bad  bool
	}{
		{"empty", unhex("00000000"), "", false},
		{"empty, padded", unhex("000000000000"), "", false},
		{"one", unhex("01000000" + "00000000" + "01000000" + "0500000000000000"), "0-1-5", false},
		{"flags", unhex("01000010" + "00000000" + "01000000" + "0500000000000000"), "0-1-5", false},
		{"the last of a domain", unhex("02000000" + "00000000" + "02000000" + "0900000000000000" + "00000000" + "01000000" + "0500000000000000"), "0-1-5", false},
		{"nothing", nil, "", true},
		{"cut off", unhex("01000000" + "00000000" + "01000000" + "05000000"), "", true},
		{"too long", unhex("01000000" + "00000000" + "01000000" + "050000000000000000"), "", true},
	}
	for _, tt := range tests {
		s, err := DecodeMariaDBList(tt.in)
		if (err != nil) != tt.bad || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v, want an error: %v", tt.name, err, tt.bad)
		}
		if err == nil && s.String() != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, s, tt.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(words(1, sidBytes, 2, 1, 4, 7, 8))
	f.Add(words(unhex("0102000000000001"), sidBytes, []byte{0}, 1, 1, 5, sidBytes, []byte("\x08aaaa"), 1, 1, 2))
	f.Add(unhex("01000000" + "00000000" + "01000000" + "0500000000000000"))
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		for flavor, decode := range map[Flavor]func([]byte) (*Set, error){MySQL: DecodeMySQL, MariaDB: DecodeMariaDBList} {
			s, err := decode(body)
			if err != nil {
				continue
			}
			if again, err := Parse(flavor, s.String()); err != nil || !again.Equal(s) {
				t.Fatalf("%s: %q, then %v, %v", flavor, s, again, err)
			}
		}
		if !bytes.Equal(body, before) {
			t.Fatal("the body has changed")
		}
	})
}
