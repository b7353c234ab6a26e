// Package worker is a member of the fleet: it stands in the line of every task
// that it is to serve, and while it is first there, as the task's primary,
// streams the source's binlog into the task's archive.
//
// It promises that what it archives is the source's binlog byte for byte, and
// that any number of workers may run at once, be cut off, stopped and killed
// without losing, doubling or reordering a byte. That promise rests on two
// things, and on no clock: every write to ZooKeeper is fenced (internal/coord),
// and an archive is a create-only chain (archive).
//
// From the outside in:
//
//	Worker   one process: a session at a time, a member for each task
//	member   one task's line: stands by, claims a term when first
//	term     one worker's time as primary: keeps a dump going, reports, yields
//	dump     one attempt to archive: a package of its own
//
// What to do next is decided by pure functions (decide.go, round.go, attempts.go); the
// loops around them observe, decide and act.
package worker
