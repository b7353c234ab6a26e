package cli

import (
	"errors"

	"binkeeper/internal/failure"
)

// The exit codes. 2 is never used: the Go runtime ends a crash with it.
const (
	OK          = 0
	Failed      = 1   // any error without a code of its own
	Partial     = 3   // done in part
	NotFound    = 4   // no such task, server or archive
	Conflict    = 5   // it exists, is in use, has no standby to switch to, or the server id is taken
	Mismatch    = 6   // the archive's bytes are not what they should be
	Gap         = 7   // a gap, or a target outside the archive
	NoZooKeeper = 8   // ZooKeeper is unreachable
	NoStore     = 9   // the store is unreachable or refuses
	NoSource    = 10  // the source is unreachable or unfit: password, not MySQL, log_bin off, grants
	TimedOut    = 11  // what was waited for has not come
	BadUsage    = 64  // usage, bad id, bad URL
	Interrupted = 130 // SIGINT
	Terminated  = 143 // SIGTERM
)

// exitCodes are the codes of the kinds of trouble.
var exitCodes = map[failure.Kind]int{
	failure.Usage:        BadUsage,
	failure.NotFound:     NotFound,
	failure.Conflict:     Conflict,
	failure.Mismatch:     Mismatch,
	failure.Gap:          Gap,
	failure.Coordination: NoZooKeeper,
	failure.Store:        NoStore,
	failure.Source:       NoSource,
}

// ErrorCode returns the exit code for err: OK for nil, the code of an *ExitError, else that of its kind, and Failed for
// an error without one.
func ErrorCode(err error) int {
	if err == nil {
		return OK
	}
	var exit *ExitError
	if errors.As(err, &exit) {
		return exit.Code
	}
	if code, ok := exitCodes[failure.Of(err)]; ok {
		return code
	}
	return Failed
}
