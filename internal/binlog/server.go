package binlog

import (
	"fmt"
	"strings"

	"binkeeper/internal/gtid"
)

// Server is who has written a binlog, for good: MySQL is known by its UUID; MariaDB has none, and is known by its server
// id, and by its server_uid where it has one.
type Server struct {
	Flavor gtid.Flavor
	UUID   string // MySQL's server_uuid
	ID     uint32 // MariaDB's server_id; MySQL's is no part of its identity
	UID    string // MariaDB's server_uid, or "" where it has none
}

// Same reports whether both are one server.
func (s Server) Same(o Server) bool { return s.Differs(o) == "" }

// Differs says what shows that s is not o, or "".
func (s Server) Differs(o Server) string {
	switch {
	case s.Flavor != o.Flavor:
		return fmt.Sprintf("%s, not %s", s.Flavor, o.Flavor)
	case s.Flavor == gtid.MySQL && s.UUID != o.UUID:
		return fmt.Sprintf("server_uuid %s, not %s", s.UUID, o.UUID)
	case s.Flavor == gtid.MariaDB && s.ID != o.ID:
		return fmt.Sprintf("server id %d, not %d", s.ID, o.ID)
	case s.Flavor == gtid.MariaDB && s.UID != "" && o.UID != "" && s.UID != o.UID:
		return fmt.Sprintf("server_uid %s, not %s", s.UID, o.UID)
	}
	return ""
}

// String is the server's name in an operator's answer and in a segment that closes a timeline.
func (s Server) String() string {
	if s.Flavor == gtid.MySQL {
		return s.UUID
	}
	return strings.TrimSpace(fmt.Sprintf("server id %d %s", s.ID, s.UID))
}
