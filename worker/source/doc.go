// Package source reads the binlog of a MySQL or MariaDB server, byte for byte as
// it is in the server's files.
//
// Connect dials, authenticates and protects the connection; the Conn answers
// questions about the server until Dump turns it into a Stream. A Stream hands
// out whole events in the order of the file, each checked: its checksum, its size,
// its offset. Events that are not in the file (artificial ones, heartbeats, a
// format description sent again) are never handed out as data. So the bytes of the
// events, one after the other, are the file, magic included.
//
// What has been checked ends at the stream's offset; a stream that fails a check
// has ended, and nothing of the bad event was handed out. The package neither
// reconnects nor retries, and knows nothing of archives: what to dump, and what an
// error means for a task, is its caller's business.
//
// A Conn and its Stream are for one goroutine. Only Close, and the end of the
// context given to Dump, may come from another.
package source
