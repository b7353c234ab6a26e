//go:build faults

//faults:zookeeper

package worker_test

import (
	"testing"
	"time"

	"binkeeper/internal/coord"
	"binkeeper/internal/servers"
	"binkeeper/zkpaths"

	"github.com/go-zookeeper/zk"
)

// A quota refuses the checkpoints: the dump goes on, the log says it once, and with
// room again the same term commits.
func TestCheckpointsBeyondAQuota(t *testing.T) {
	f := newFleet(t, servers.MySQL)
	f.createTask("orders")
	f.start("1")
	f.write(5)
	before := f.await("orders", "a checkpoint", 20*time.Second, func(v coord.TaskView) bool { return running(v) && v.LastCommit.Position > 0 })

	hand, _, err := zk.Connect(f.cfg.Servers, 10*time.Second, zk.WithLogInfo(false))
	if err != nil {
		t.Fatal(err)
	}
	defer hand.Close()
	limits := "/zookeeper/quota"
	for _, part := range []string{f.cfg.Root, zkpaths.Tasks, "/orders", "/lastCommit"} {
		limits += part
		if _, err := hand.Create(limits, nil, 0, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"/zookeeper_limits": "count=-1,bytes=-1=;byteHardLimit=1;countHardLimit=-1", "/zookeeper_stats": "count=0,bytes=0"} {
		if _, err := hand.Create(limits+name, []byte(text), 0, zk.WorldACL(zk.PermAll)); err != nil {
			t.Fatal(err)
		}
	}
	f.write(300) // the position and the GTID set take more digits
	const refused = "no checkpoint now"
	v := f.await("orders", "an archive beyond its checkpoint", 10*time.Second, func(v coord.TaskView) bool {
		return f.journal.count(refused) > 0 && v.Status.Position > v.LastCommit.Position+50_000
	})
	if !running(v) || v.Status.Reconnects != before.Status.Reconnects || f.journal.count(refused) != 1 {
		t.Errorf("beyond the quota: %s, %d reconnects, said %d times", v.Status.State, v.Status.Reconnects, f.journal.count(refused))
	}
	if err := hand.Delete(limits+"/zookeeper_limits", -1); err != nil {
		t.Fatal(err)
	}
	after := f.await("orders", "the checkpoint at the archive's end", 20*time.Second, func(v coord.TaskView) bool { return v.LastCommit.Position >= v.Status.Position })
	if after.LastCommit.Term != before.LastCommit.Term || after.Status.Reconnects != before.Status.Reconnects {
		t.Errorf("term %d with %d reconnects, it was %d with %d", after.LastCommit.Term, after.Status.Reconnects, before.LastCommit.Term, before.Status.Reconnects)
	}
	f.compare("orders")
}
