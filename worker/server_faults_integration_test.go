//go:build integration

package worker_test

import (
	"testing"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
)

// A MariaDB without gtid_strict_mode logs a lower number than is archived, while no worker looks. Nothing is lost: its
// binlog goes on where the archive ends.
func TestDomainWentBack(t *testing.T) {
	t.Parallel()
	f := newFleet(t, servers.MariaDB118, "--gtid-strict-mode=OFF")
	f.createTask("orders")
	stop := f.start("1")
	f.write(10)
	insert := "INSERT INTO shop.orders (note) VALUES ('another')"
	if err := f.src.Exec(t.Context(), "SET SESSION gtid_seq_no = 1000", insert); err != nil {
		t.Fatal(err)
	}
	f.await("orders", "the archive of 0-1-1000", 20*time.Second, func(v coord.TaskView) bool { return v.LastCommit.GTIDSet == "0-1-1000" })
	stop()
	if err := f.src.Exec(t.Context(), "SET SESSION gtid_seq_no = 50", insert); err != nil {
		t.Fatal(err)
	}
	var now string
	if err := f.src.DB().QueryRowContext(t.Context(), "SELECT @@gtid_binlog_pos").Scan(&now); err != nil || now != "0-1-50" {
		t.Fatalf("gtid_binlog_pos is %s, %v: the fault has not struck", now, err)
	}
	f.start("1")
	f.await("orders", "running", 20*time.Second, running)
	f.compare("orders")
	if n := len(f.timelines("orders")); n != 1 {
		t.Errorf("%d timelines, want 1", n)
	}
}
