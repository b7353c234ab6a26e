//go:build faults && soak

//faults:source

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"binkeeper/internal/servers"
)

// hugeRows rows of hugeRow bytes are more than 32 bits of offset can tell.
const (
	hugeRow  = 8 << 20
	hugeRows = (4<<30 + 400<<20) / hugeRow
)

// A transaction makes a file of over 4 GiB, and the primary dies beyond them: no offset in the protocol reaches that far.
func TestSoakHugeFile(t *testing.T) {
	t.Parallel()
	s := newStage(t, servers.MySQL, "--sync-binlog=0")
	s.program = plainProgram()
	s.createTask()
	c := newClient(t, s.src)
	c.exec("CREATE DATABASE odd", blackhole, "CREATE TABLE odd.one (id INT)", "INSERT INTO odd.one VALUES "+strings.Repeat("(0), ", hugeRows-1)+"(0)",
		"FLUSH BINARY LOGS", fmt.Sprintf("INSERT INTO odd.blackhole SELECT REPEAT('%s', %d) FROM odd.one", note(64), hugeRow/64))
	huge := s.binlogFiles()[1]
	file := filepath.Base(huge)
	if info, err := os.Stat(huge); err != nil || info.Size() <= hugeRows*hugeRow {
		t.Fatalf("%s is not huge: %+v, %v", huge, info, err)
	}
	s.start("1")
	v := s.await("the archive beyond 4 GiB", func(v view) bool { return v.LastCommit.File == file && v.LastCommit.Position > 4<<30 })
	s.killPrimary()
	if v = s.look(); v.LastCommit.File != file {
		t.Fatalf("the primary had archived all of %s before it died: %s:%d", file, v.LastCommit.File, v.LastCommit.Position)
	}
	s.start("1")
	s.awaitServing(v.LastCommit.Term)
	s.awaitClosed()
	s.compareByHand(huge)
	s.checkHistory()
	s.checkSegments()
}
