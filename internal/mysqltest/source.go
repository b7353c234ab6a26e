package mysqltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/server"

	"binkeeper/internal/memnet"
)

// The account that a source knows.
const (
	User     = "binkeeper"
	Password = "secret"
)

// An Identity is who a source is.
type Identity struct {
	UUID     string // server_uuid
	ServerID uint32
}

// A Source is a server with its binlog. Its methods may be called from any goroutine. It must be closed.
type Source struct {
	protocol *server.Server
	owned    sync.WaitGroup // connections

	mu       sync.Mutex
	who      Identity
	files    []*file
	base     string // of the files' names
	number   int    // of the newest file
	executed int64  // transactions 1 to executed of the own UUID
	purged   int64  // of them, those before the oldest file
	noGTIDs  bool
	denies   bool          // the account
	away     bool          // no connection comes about
	changed  chan struct{} // closed and replaced at each change
	conns    map[net.Conn]bool
	dumps    map[string]net.Conn // by the replica's UUID
	begun    int                 // dumps, ever
}

// A file is one binlog file. It is never changed in place: a reader may hold its bytes.
type file struct {
	name    string
	data    []byte
	commits []commit
}

// A commit is where a transaction stands in its file.
type commit struct {
	number     int64 // of its GTID
	start, end int64
}

// New returns a source with one binlog file and no transaction.
func New(who Identity) *Source {
	s := &Source{
		protocol: server.NewServer("9.7.4", mysql.DEFAULT_COLLATION_ID, mysql.AUTH_NATIVE_PASSWORD, nil, nil),
		who:      who, base: "mysql-bin", changed: make(chan struct{}), conns: map[net.Conn]bool{}, dumps: map[string]net.Conn{},
	}
	s.nextFile()
	return s
}

// change carries out do, and tells every dump that something has changed.
func (s *Source) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Source) newest() *file { return s.files[len(s.files)-1] }

// Commit writes one transaction whose rows take about size bytes.
func (s *Source) Commit(size int) {
	s.change(func() {
		f := s.newest()
		start := int64(len(f.data))
		s.executed++
		s.append(eventGTID, s.gtidBody(s.executed))
		s.append(eventQuery, queryBody("BEGIN"))
		s.append(eventRows, filler(size, s.executed))
		s.append(eventXID, filler(8, s.executed))
		f.commits = append(f.commits, commit{s.executed, start, int64(len(f.data))})
	})
}

// Begin writes the first half of a transaction, which End ends.
func (s *Source) Begin(size int) {
	s.change(func() {
		s.executed++
		s.append(eventGTID, s.gtidBody(s.executed))
		s.append(eventQuery, queryBody("BEGIN"))
		s.append(eventRows, filler(size, s.executed))
	})
}

// End ends the transaction that Begin has begun.
func (s *Source) End() {
	s.change(func() { s.append(eventXID, filler(8, s.executed)) })
}

// Write writes one event of the file as it is told to, for what no method does.
func (s *Source) Write(kind byte, body []byte) { s.change(func() { s.append(kind, body) }) }

// Rotate ends the newest file with a rotate event, and begins the next.
func (s *Source) Rotate() {
	s.change(func() {
		s.append(eventRotate, rotateBody(s.nameOf(s.number+1)))
		s.nextFile()
	})
}

// Restart ends every connection, and the newest file with a stop event.
func (s *Source) Restart() {
	s.change(func() {
		s.append(eventStop, nil)
		s.endAll()
		s.nextFile()
	})
}

// Crash ends every connection and loses the newest transactions of the newest file, as a crash with sync_binlog=0 may.
// The file ends without a word.
func (s *Source) Crash(lost int) {
	s.change(func() {
		s.endAll()
		f := s.newest()
		lost = min(lost, len(f.commits))
		if lost > 0 {
			cut := f.commits[len(f.commits)-lost]
			s.files[len(s.files)-1] = &file{name: f.name, data: f.data[:cut.start:cut.start], commits: f.commits[:len(f.commits)-lost]}
			s.executed = cut.number - 1
		}
		s.nextFile()
	})
}

// Reset removes every file and begins with the first one again, as RESET BINARY LOGS AND GTIDS does.
func (s *Source) Reset() {
	s.change(func() {
		s.files, s.number, s.executed, s.purged = nil, 0, 0, 0
		s.nextFile()
	})
}

// Purge removes the files before the one named.
func (s *Source) Purge(before string) {
	s.change(func() {
		for len(s.files) > 1 && s.files[0].name != before {
			if commits := s.files[0].commits; len(commits) > 0 {
				s.purged = commits[len(commits)-1].number
			}
			s.files = s.files[1:]
		}
	})
}

// Rename gives the files to come another base name, as a restart with another --log-bin does.
func (s *Source) Rename(base string) {
	s.change(func() {
		s.append(eventStop, nil)
		s.endAll()
		s.files, s.base, s.number = nil, base, 0
		s.purged = s.executed
		s.nextFile()
	})
}

// Become makes the source another server, with the same files.
func (s *Source) Become(who Identity) { s.change(func() { s.who = who; s.endAll() }) }

// SetGTIDs turns gtid_mode on, as it is from the start, or off.
func (s *Source) SetGTIDs(on bool) { s.change(func() { s.noGTIDs = !on }) }

// Deny lets the account in no more, or again. Connections that stand go on.
func (s *Source) Deny(denies bool) { s.change(func() { s.denies = denies }) }

// Leave ends every connection and lets none come about, until Return.
func (s *Source) Leave() { s.change(func() { s.away = true; s.endAll() }) }

// Return ends what Leave has begun.
func (s *Source) Return() { s.change(func() { s.away = false }) }

// EndConnections ends every connection that stands.
func (s *Source) EndConnections() { s.change(s.endAll) }

func (s *Source) endAll() {
	for c := range s.conns {
		c.Close()
	}
}

// File returns the bytes of a file, nil when there is none.
func (s *Source) File(name string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.find(name); f != nil {
		return bytes.Clone(f.data)
	}
	return nil
}

// Files returns the names of the files, oldest first.
func (s *Source) Files() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, f := range s.files {
		names = append(names, f.name)
	}
	return names
}

// Dumps is how many dumps have begun so far.
func (s *Source) Dumps() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

func (s *Source) find(name string) *file {
	i := slices.IndexFunc(s.files, func(f *file) bool { return f.name == name })
	if i < 0 {
		return nil
	}
	return s.files[i]
}

func (s *Source) nameOf(number int) string { return fmt.Sprintf("%s.%06d", s.base, number) }

// nextFile begins the next file.
func (s *Source) nextFile() {
	s.number++
	s.files = append(s.files, &file{name: s.nameOf(s.number), data: bytes.Clone(magic)})
	s.append(eventFormat, formatBody())
	s.append(eventPrevious, s.previousBody())
}

// errRefused is the error of a Dial to a source that is away.
var errRefused = errors.New("connection refused")

// Dial connects to the source, whatever the address.
func (s *Source) Dial(context.Context, string, string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: errRefused}
	}
	near, far := memnet.Pipe()
	s.conns[far] = true
	s.owned.Go(func() {
		s.serve(far)
		far.Close()
		s.mu.Lock()
		delete(s.conns, far)
		s.mu.Unlock()
	})
	return near, nil
}

// Close ends every connection, and waits for what serves them.
func (s *Source) Close() {
	s.Leave()
	s.owned.Wait()
}
