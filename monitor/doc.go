// Package monitor watches every task and wakes people rightly.
//
// # What it promises
//
// It observes what stands in ZooKeeper of each task, decides from that alone which
// alerts fire, and says each once when it begins to fire, again every repeat
// interval, and once when it resolves; a change it says once. Watches make it
// quick, and sweeps of everything make it complete: what changed twice between two
// looks is read from the status' own record of its transitions, and what even that
// does not hold any more is counted and said to be unseen.
//
// # Clocks
//
// Ages are measured on the monitor's monotonic clock, from when it saw a change
// itself; no time in a payload is compared with the wall clock. The age of
// durable_time too is the time since the monitor saw it advance: a task whose
// durable_time keeps advancing, however far behind, is catching up, and is not
// NotDurable; one whose durable_time stands still for the bound is, however
// recent it looks. A monitor that has just started gives everything its full time.
//
// That clock stands still while the monitor is blind. Without ZooKeeper it says so
// once, and nothing about any task: neither new alerts nor repeats nor resolves.
//
// # Delivery
//
// Each channel has a bounded queue and a goroutine of its own. One that hangs or
// fails delays neither the watching nor any other channel; it is tried again with
// growing pauses for a bounded time, and what it did not take is logged and
// counted. With a state file, a new process goes on where the last one ended: it
// does not say again what was said, resolves what is over, and delivers what still
// stood in the queues. Delivery is at least once.
//
// # What it leaves to others
//
// It changes nothing in ZooKeeper, reads no archive, and knows nothing of workers
// but what they write there. Grouping, silences and escalation are the receiver's.
package monitor
