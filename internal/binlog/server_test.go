package binlog

import (
	"testing"

	"binkeeper/internal/gtid"
)

func TestServer(t *testing.T) {
	mysql := Server{Flavor: gtid.MySQL, UUID: "3e11fa47-71ca-11e1-9e33-c80aa9429562", ID: 7}
	maria := Server{Flavor: gtid.MariaDB, ID: 7, UID: "abc"}
	tests := []struct {
		name string
		a, b Server
		same bool
	}{
		{"itself", mysql, mysql, true},
		{"another number of MySQL's", mysql, Server{Flavor: gtid.MySQL, UUID: mysql.UUID, ID: 8}, true},
		{"another UUID", mysql, Server{Flavor: gtid.MySQL, UUID: "4e11fa47-71ca-11e1-9e33-c80aa9429562", ID: 7}, false},
		{"another flavor", mysql, Server{Flavor: gtid.MariaDB, ID: 7}, false},
		{"another server id", maria, Server{Flavor: gtid.MariaDB, ID: 8, UID: "abc"}, false},
		{"another server_uid", maria, Server{Flavor: gtid.MariaDB, ID: 7, UID: "def"}, false},
		{"a server_uid since an upgrade", maria, Server{Flavor: gtid.MariaDB, ID: 7}, true},
	}
	for _, tt := range tests {
		if tt.a.Same(tt.b) != tt.same || tt.b.Same(tt.a) != tt.same {
			t.Errorf("%s: %q, %q", tt.name, tt.a.Differs(tt.b), tt.b.Differs(tt.a))
		}
	}
	if mysql.String() != mysql.UUID || maria.String() != "server id 7 abc" || (Server{Flavor: gtid.MariaDB, ID: 7}).String() != "server id 7" {
		t.Errorf("%s, %s", mysql, maria)
	}
}
