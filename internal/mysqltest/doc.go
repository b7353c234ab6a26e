// Package mysqltest is a MySQL source in memory, for tests: it speaks the wire protocol, answers what a replica asks, and
// sends its binlog files as a server does, over connections in memory. It knows what befalls a source: rotation, purge,
// RESET, a crash that loses transactions, a restart, another server at its address, a server that is away.
//
// What it writes are real events with real checksums and positions, so that everything that checks a stream checks it.
// Rows are no rows: an event's body is filler. It knows one account, one UUID of its own, and neither TLS nor MariaDB's
// dialect; those are for real servers.
//
// Time is that of package time, so that it lives in a testing/synctest bubble.
package mysqltest
