package gtid

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Parse reads the text of a set: of MySQL uuid[:tag]:interval..., comma
// separated, with white space and line breaks around the parts, of MariaDB
// domain-server-seq, comma separated. The empty text is the empty set.
func Parse(flavor Flavor, text string) (*Set, error) {
	s := New(flavor)
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		parse := s.parseMySQL
		if flavor == MariaDB {
			parse = s.parseMariaDB
		}
		if err := parse(part); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// parseMySQL adds one uuid:1-5:7:tag:1-3.
func (s *Set) parseMySQL(part string) error {
	text, rest, found := strings.Cut(part, ":")
	sid, err := parseUUID(strings.TrimSpace(text))
	if err != nil || !found {
		return malformed("%q: want UUID:INTERVAL", part)
	}
	tag := ""
	for item := range strings.SplitSeq(rest, ":") {
		if item = strings.TrimSpace(item); isTag(item) {
			tag = strings.ToLower(item)
			continue
		}
		run, err := parseInterval(item)
		if err != nil {
			return malformed("%q: %q is neither an interval nor a tag", part, item)
		}
		s.of(sid, tag).add(run)
	}
	return nil
}

// isTag reports whether text is a tag as MySQL allows it: a letter or an
// underscore, then those and digits, 32 characters at most.
func isTag(text string) bool {
	for i, c := range []byte(strings.ToLower(text)) {
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return text != "" && len(text) <= maxTag
}

// maxTag is the length of the longest tag, in characters.
const maxTag = 32

func parseInterval(text string) (interval, error) {
	from, to, isRange := strings.Cut(text, "-")
	if !isRange {
		to = from
	}
	first, err := strconv.ParseUint(strings.TrimSpace(from), 10, 63)
	if err != nil {
		return interval{}, err
	}
	last, err := strconv.ParseUint(strings.TrimSpace(to), 10, 63)
	if err != nil {
		return interval{}, err
	}
	if first < 1 || last > maxNumber || first > last {
		return interval{}, malformed("interval %s", text)
	}
	return interval{int64(first), int64(last)}, nil
}

// parseUUID reads 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12.
func parseUUID(text string) (sid [16]byte, err error) {
	digits := strings.ReplaceAll(text, "-", "")
	if len(digits) != 32 || len(text) != 36 {
		return sid, malformed("%q is not a UUID", text)
	}
	_, err = hex.Decode(sid[:], []byte(digits))
	if err != nil || formatUUID(sid) != strings.ToLower(text) {
		return sid, malformed("%q is not a UUID", text)
	}
	return sid, nil
}

// formatUUID writes sid in lower case, as the server does.
func formatUUID(sid [16]byte) string {
	digits := hex.EncodeToString(sid[:])
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
}

// parseMariaDB adds one domain-server-seq.
func (s *Set) parseMariaDB(part string) error {
	fields := strings.Split(part, "-")
	if len(fields) != 3 {
		return malformed("%q: want DOMAIN-SERVER-SEQUENCE", part)
	}
	domain, err1 := strconv.ParseUint(fields[0], 10, 32)
	server, err2 := strconv.ParseUint(fields[1], 10, 32)
	seq, err3 := strconv.ParseUint(fields[2], 10, 64)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return malformed("%q: %v", part, err)
	}
	s.AddMariaDB(uint32(domain), uint32(server), seq)
	return nil
}

// String returns the text of s as the server prints it: MySQL's UUIDs in order
// and one on a line, a UUID's tags after its untagged transactions; MariaDB's
// domains in order.
func (s *Set) String() string {
	var out []byte
	var previous [16]byte
	for _, key := range slices.SortedFunc(maps.Keys(s.origins), compareOrigins) {
		list := s.origins[key].intervals
		if len(list) == 0 {
			continue
		}
		if len(out) > 0 && key.sid == previous {
			out = append(out, ':')
			out = append(out, key.tag...)
		} else {
			out = separate(out, ",\n")
			out = appendOrigin(out, key)
		}
		previous = key.sid
		out = appendIntervals(out, list)
	}
	for _, domain := range slices.Sorted(maps.Keys(s.domains)) {
		at := s.domains[domain]
		out = append(separate(out, ","), FormatMariaDB(domain, at.server, at.seq)...)
	}
	return string(out)
}

func compareOrigins(a, b origin) int {
	return cmp.Or(bytes.Compare(a.sid[:], b.sid[:]), strings.Compare(a.tag, b.tag))
}

func separate(out []byte, by string) []byte {
	if len(out) == 0 {
		return out
	}
	return append(out, by...)
}

func appendOrigin(out []byte, key origin) []byte {
	out = append(out, formatUUID(key.sid)...)
	if key.tag != "" {
		out = append(out, ':')
		out = append(out, key.tag...)
	}
	return out
}

func appendIntervals(out []byte, list intervals) []byte {
	for _, run := range list {
		out = strconv.AppendInt(append(out, ':'), run.first, 10)
		if run.last > run.first {
			out = strconv.AppendInt(append(out, '-'), run.last, 10)
		}
	}
	return out
}

// FormatMySQL returns the text of one transaction: uuid:n or uuid:tag:n.
func FormatMySQL(sid [16]byte, tag string, n int64) string {
	return string(appendIntervals(appendOrigin(nil, origin{sid, tag}), intervals{{n, n}}))
}

// FormatMariaDB returns the text of one transaction: domain-server-seq.
func FormatMariaDB(domain, server uint32, seq uint64) string {
	out := strconv.AppendUint(nil, uint64(domain), 10)
	out = strconv.AppendUint(append(out, '-'), uint64(server), 10)
	return string(strconv.AppendUint(append(out, '-'), seq, 10))
}
