// Package dump is one attempt to archive a source's binlog: it finds the end of the
// archive's chain, connects to the source, proves that the source continues what is
// archived, and then takes the stream through its stages until it is told to stop or
// something fails.
//
// It promises that nothing is appended to an archive that the source's own bytes do not
// continue, that a checkpoint is committed only after what it covers is durable, and that
// an attempt ends in exactly one way, which says what the next one has to know: an
// Ending. What an attempt reads and stores is bounded in memory, and a stage that is slow
// holds the ones before it back.
//
// From one end to the other:
//
//	owner.go      the archive is the task's
//	chain.go      where it ends, and the commit of that, which is the first barrier
//	identity.go   whether the server that answers continues it: facts in, a plan out
//	timeline.go   a new timeline, where an operator has allowed it, or the end of a file
//	pipeline.go   read and check | compress | store | checkpoint (checkpoint.go)
//	segmenter.go  events become segments
//	buffers.go    where memory is bounded
//	side.go       who answers at the address while the dump goes on
//	ending.go     what the end means
//
// It leaves to others who may begin an attempt, and when the next one is due: it knows the
// term as an interface, and nothing of members, lines and statuses but the figures that it
// describes (Progress).
package dump
