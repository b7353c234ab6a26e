// Package archive defines what an archive of binlogs is, whichever store holds
// it: the format, the chain, and how it is appended to, read and checked.
//
// It promises that any number of writers may append at once and the archive stays
// one linear chain, that what it has appended is durable, and that what it reads
// back is what was archived, or an error. It leaves to others what is in the
// bytes (package worker/source), who should append (internal/coord), and where
// objects are kept (a Store; dirstore is one).
//
// # Names
//
// A store holds the archives of any number of tasks. Each is a set of immutable
// objects, created once and never changed:
//
//	orders/task.json                                           whose archive this is: owner 1
//	orders/owners/00000002.json                                whose it is since: owner 2
//	orders/00000001/timeline.json                              timeline 1: one unbroken history of one source server
//	orders/00000001/mysql-bin.000042/00000000000000000000.zst  a segment, named by the offset of its first byte
//	orders/00000001/mysql-bin.000042/00000000000001048576.zst
//
// Timelines and owners have 8 digits, offsets 20. The names of a file's segments sort as
// their offsets do; those of files do not always sort as their numbers, which
// count (mysql-bin.999999 comes before mysql-bin.1000000). A server may be given
// another base name for its files: only next_file tells their order then. Names that begin with
// ".tmp-" are no objects.
//
// # Owners
//
// A task has a task_uid, drawn at random when it is created. task.json is made with
// the archive, and never changes:
//
//	{"format":1,"task":"orders","task_uid":"…","created_at":"2026-11-20T10:43:00Z"}
//
// A task that takes the archive over, such as one that comes back after its ensemble
// has lost its data, has a task_uid of its own and creates the next object of owners/,
// create-only. number is that of its name, took_over the task_uid before:
//
//	{"format":1,"task":"orders","task_uid":"…","created_at":"…","number":2,"took_over":"…"}
//
// The archive is the highest owner's. Any other task, alive elsewhere, is not to begin
// a dump or a timeline. Numbers may be missing: a task that was never created takes its
// object back. A reader of the binlog needs none of this.
//
// # A segment
//
// A segment holds the bytes [start, end) of a binlog file, the first one from
// byte 0, which is the first of the four magic bytes:
//
//	50 2a 4d 18     4 bytes   magic of a zstd skippable frame
//	length          4 bytes   of the metadata, little endian
//	metadata        JSON (Meta), one line, ended by a newline
//	zstd frames     with content checksums; none when start = end
//
// zstd skips the metadata and concatenated frames are one stream, so
//
//	zstd -dc mysql-bin.000042/*.zst > mysql-bin.000042
//
// gives the file back, byte for byte, without Binkeeper. Readers ignore keys of
// the metadata that they do not know and refuse a format above Format.
//
// The last key is meta_hash, the hash of the metadata without it: of all bytes from
// the first brace to the newline, but for the 31 bytes ,"meta_hash":"…" in front of the
// last brace. Who writes a key puts it before that. A reader refuses metadata that its
// meta_hash does not fit; segments were not always written with one, and are read all
// the same.
//
// A dump that goes on from a segment's end begins at overlap_start, and what comes back
// up to end must have the overlap_hash. That is where the last transaction begins, in
// this segment or in one before, if it is 1 MiB at most, and else the last event; in a
// segment without bytes it is that of the one before.
//
// # The chain
//
// A timeline begins with its first_file at byte 0. A segment is on its chain if it
// is named by the offset at which the one before it ended, and its metadata fits:
// task, timeline, file, start, and a chain_hash over the chain_hash before it and
// its own bytes_hash, beginning anew in every file. All hashes are xxHash64 with
// seed 0, as 16 hex digits.
//
// A segment with ends_file ends its file, and next_file follows at byte 0; that a
// next file has begun proves nothing. One with closes_timeline ends the timeline;
// closes_reason and closes_server tell for which next one: its reason, and the
// server_uuid of its server (MariaDB: "server id 5", and its server_uid if it has
// one). They were not always written: without them that is unknown.
// Where no bytes tell of the end, the segment that does is empty (start = end).
// Only the newest timeline is appended to; those before it are closed.
//
// # Appending
//
// The chain's end is where its last segment ends. An append creates the object of
// that name and fails if it exists, so of several writers one wins, and another
// one's late write is refused. A writer publishes a segment only after the one
// before it, and looks first whether that is still there: an operator may have
// moved a folder. One that fails to create reads the object: if it has the same
// range, hashes and flags, the write was its own and the reply was lost; anything
// else is a *ConflictError, after which only a new Walk tells where the end is.
//
// An object can be read before it is durable: its writer may have died just before
// it was. So who has walked to the end calls Sync before it makes a checkpoint of it
// or publishes anything behind it.
//
// # Reading
//
// An object may be missing because it is not written yet, or because it was lost.
// It was lost if anything stands behind it: a segment is published after the one
// before it is durable. So a reader looks at what stands behind, then for the
// object again, and only then says that there is a hole. The next object of a
// chain is looked for in one place, chain.read.
package archive
