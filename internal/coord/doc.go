// Package coord keeps Binkeeper's agreements in ZooKeeper: sessions, the line of
// instances, the fenced claim and checkpoint, and the registry of tasks and
// workers. It is the only importer of the ZooKeeper client.
//
// # What it promises
//
// A Session is one client connection and one session id, for ever. The id that
// a server answers with is checked in the handshake itself, before the client
// sees it, so that no request queued in one session can run in another. Once a
// Session is over, nothing more is sent by it.
//
// Every write of an Instance or a Term is one Multi that checks the own
// instance, and those of a Term check or move the version of lastCommit too.
// A worker that was replaced gets ErrFenced and has changed nothing.
//
// A request waits for its reply, its context or the end of the session. An
// error that is not one of the server's definite answers leaves the outcome
// unknown; then the package reads back, after a Sync, before it decides. A
// write that was given up is never overtaken by a later one of the same
// instance.
//
// While disconnected, a write is refused with ErrDisconnected before anything
// is sent; a read waits for the next connection, as long as its context lasts.
// Disconnected is not over: the line keeps its places until the ensemble expires
// the session.
//
// # What it leaves to others
//
// It does not decide who claims, when to give up or what to archive. It never
// reconnects with a new session: open another one and register again. A
// session's timeout is an aid to availability only; nothing here is safe
// because of a clock.
//
// # Ownership
//
// The session owns every goroutine: followers, the probe, and requests that
// were given up. Close waits for them.
package coord
