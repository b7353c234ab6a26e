package cli

import (
	"errors"

	"binkeeper/archive"
	"binkeeper/internal/coord"
	"binkeeper/internal/secret"
	"binkeeper/internal/stores"
	"binkeeper/worker/source"
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

// table maps errors to exit codes; the first row that fits decides.
var table = []struct {
	fits func(error) bool
	code int
}{
	{as[*UsageError], BadUsage},
	{as[*secret.RefError], BadUsage},
	{as[*stores.URLError], BadUsage},

	{is(coord.ErrNoTask), NotFound},
	{is(coord.ErrTaskExists), Conflict},
	{as[*coord.InUseError], Conflict},
	{as[*coord.TakenError], Conflict},
	{is(coord.ErrUnreachable), NoZooKeeper},
	{is(coord.ErrDisconnected), NoZooKeeper},
	{is(coord.ErrExpired), NoZooKeeper},
	{is(coord.ErrSessionChanged), NoZooKeeper},

	{as[*archive.NotEmptyError], Conflict},
	{as[*archive.ConflictError], Conflict},
	{as[*archive.MismatchError], Mismatch},
	{as[*archive.BrokenError], Mismatch},
	{as[*archive.HoleError], Gap},
	{as[*archive.BehindError], Gap},
	{is(archive.ErrNoTimeline), Gap},
	{as[*archive.StoreError], NoStore},

	{as[*secret.Error], NoSource},
	{as[*source.DeniedError], NoSource},
	{as[*source.UnfitError], NoSource},
	{as[*source.FileError], NoSource},
	{is(source.ErrUnreachable), NoSource},
	{is(source.ErrSilent), NoSource},
	{is(source.ErrFileNotFound), Gap},
	{is(source.ErrPastEnd), Gap},
}

// ErrorCode returns the exit code for err: OK for nil, Failed for an error that
// no row knows.
func ErrorCode(err error) int {
	if err == nil {
		return OK
	}
	var exit *ExitError
	if errors.As(err, &exit) {
		return exit.Code
	}
	for _, row := range table {
		if row.fits(err) {
			return row.code
		}
	}
	return Failed
}
