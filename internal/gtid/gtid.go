// Package gtid holds sets of global transaction identifiers, of MySQL and of
// MariaDB, that grow in place while a binlog is read.
//
// A MySQL set says for each server UUID, and tag of it, which transactions it
// contains: uuid:1-5:tag:1-3. MariaDB has no such sets. Its GTID position names
// the last transaction of each domain, 0-1-5, and contains what came before in
// that domain. Set is either, by its Flavor.
//
// Adding a transaction that continues a run allocates nothing. The package is
// pure: it knows the text and the bytes of sets, and leaves to its callers where
// they come from. A Set is not safe for concurrent use.
package gtid

import (
	"errors"
	"fmt"
	"maps"
	"strings"
)

// Flavor is the kind of server that a set belongs to.
type Flavor string

// The flavors. Their text is what an archive and its metadata record.
const (
	MySQL   Flavor = "mysql"
	MariaDB Flavor = "mariadb"
)

// ErrMalformed is what every error of Parse and of the decoders wraps: the text
// or the bytes are not a set.
var ErrMalformed = errors.New("malformed GTID set")

// maxNumber is the highest transaction number of MySQL, GNO_END - 1.
const maxNumber = 1<<63 - 2

// origin is what numbers a MySQL transaction: a server, and a tag or "".
type origin struct {
	sid [16]byte
	tag string
}

// position is the last transaction of one MariaDB domain.
type position struct {
	server uint32
	seq    uint64
}

// numbered is what a set contains of one origin.
type numbered struct {
	origin
	intervals
}

// Set is a set of transactions. Make one with New, Parse or a decoder.
type Set struct {
	flavor  Flavor
	origins map[origin]*numbered
	domains map[uint32]position
	last    *numbered // what was added to last, since most adds are to the same
}

// New returns an empty set.
func New(flavor Flavor) *Set {
	return &Set{flavor: flavor, origins: map[origin]*numbered{}, domains: map[uint32]position{}}
}

// Flavor returns the flavor that s was made with.
func (s *Set) Flavor() Flavor { return s.flavor }

// AddMySQL adds transaction n, from 1, of the server sid. The tag is in lower
// case, or "" for none.
func (s *Set) AddMySQL(sid [16]byte, tag string, n int64) {
	if n < 1 || n > maxNumber {
		return
	}
	s.of(sid, tag).add(interval{n, n})
}

// of returns what s contains of an origin, made when missing. It copies the tag
// only then.
func (s *Set) of(sid [16]byte, tag string) *numbered {
	if s.last != nil && s.last.sid == sid && s.last.tag == tag {
		return s.last
	}
	s.last = s.origins[origin{sid, tag}]
	if s.last == nil {
		s.last = &numbered{origin: origin{sid, strings.Clone(tag)}}
		s.origins[s.last.origin] = s.last
	}
	return s.last
}

// intervalsOf returns what s contains of an origin, without making it.
func (s *Set) intervalsOf(key origin) intervals {
	if ours := s.origins[key]; ours != nil {
		return ours.intervals
	}
	return nil
}

// AddMariaDB makes server-seq the position of the domain, as the server does with
// whatever it has logged last: without gtid_strict_mode, seq may go back.
func (s *Set) AddMariaDB(domain, server uint32, seq uint64) {
	s.domains[domain] = position{server, seq}
}

// Union adds all of other to s. In MariaDB other is the later one: its domains
// replace those of s.
func (s *Set) Union(other *Set) {
	for key, theirs := range other.origins {
		ours := s.of(key.sid, key.tag)
		for _, run := range theirs.intervals {
			ours.add(run)
		}
	}
	for domain, at := range other.domains {
		s.AddMariaDB(domain, at.server, at.seq)
	}
}

// Minus returns what s contains and other does not: in MySQL the difference of
// the sets, in MariaDB the domains in which s is beyond other.
func (s *Set) Minus(other *Set) *Set {
	rest := New(s.flavor)
	for key, ours := range s.origins {
		if left := ours.minus(other.intervalsOf(key)); len(left) > 0 {
			rest.of(key.sid, key.tag).intervals = left
		}
	}
	for domain, at := range s.domains {
		if have, ok := other.domains[domain]; !ok || have.seq < at.seq {
			rest.domains[domain] = at
		}
	}
	return rest
}

// Contains reports whether every transaction of other is in s; in MariaDB,
// whether other is not ahead of s in any domain.
func (s *Set) Contains(other *Set) bool {
	for key, theirs := range other.origins {
		if !s.intervalsOf(key).contains(theirs.intervals) {
			return false
		}
	}
	for domain, at := range other.domains {
		if have, ok := s.domains[domain]; !ok || have.seq < at.seq {
			return false
		}
	}
	return true
}

// Equal reports whether s and other are the same set. MariaDB positions are
// equal when their servers are, too.
func (s *Set) Equal(other *Set) bool {
	return s.Contains(other) && other.Contains(s) && maps.Equal(s.domains, other.domains)
}

// IsEmpty reports whether s contains nothing.
func (s *Set) IsEmpty() bool {
	for _, ours := range s.origins {
		if len(ours.intervals) > 0 {
			return false
		}
	}
	return len(s.domains) == 0
}

// Clone returns a copy that shares nothing with s.
func (s *Set) Clone() *Set {
	copied := New(s.flavor)
	copied.Union(s)
	return copied
}

// Reset empties s. It keeps the memory for the origins that it has seen, so that
// a set that is filled and reset again does not allocate.
func (s *Set) Reset() {
	for _, ours := range s.origins {
		ours.intervals = ours.intervals[:0]
	}
	clear(s.domains)
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}
