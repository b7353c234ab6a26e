package archive

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

const (
	ownerName     = "task.json"
	ownersDir     = "owners"
	ownerSuffix   = ".json"
	timelineName  = "timeline.json"
	segmentSuffix = ".zst"
	numberDigits  = 8 // of a timeline or an owner
	offsetDigits  = 20
)

// formatNumber is how a timeline or an owner is named; the former's folder has
// this name.
func formatNumber(n int64) string { return fmt.Sprintf("%0*d", numberDigits, n) }

// parseNumber is the inverse of formatNumber.
func parseNumber(name string) (n int64, ok bool) {
	n, err := strconv.ParseInt(name, 10, 64)
	return n, err == nil && n > 0 && formatNumber(n) == name
}

// ownerObject names an owner: the first, whose archive it was made for, is task.json.
func (a *Archive) ownerObject(n int64) string {
	if n == 1 {
		return path.Join(a.task, ownerName)
	}
	return path.Join(a.task, ownersDir, formatNumber(n)+ownerSuffix)
}

// segmentBase is a segment's name in its file's folder.
func segmentBase(start int64) string {
	return fmt.Sprintf("%0*d%s", offsetDigits, start, segmentSuffix)
}

// isSegmentBase reports whether the commands that put a file together without Binkeeper
// would take the object for a segment.
func isSegmentBase(name string) bool { return strings.HasSuffix(name, segmentSuffix) }

func (a *Archive) timelineDir(n int64) string { return path.Join(a.task, formatNumber(n)) }

func (a *Archive) timelineObject(n int64) string { return path.Join(a.timelineDir(n), timelineName) }

func (a *Archive) fileDir(n int64, file string) string { return path.Join(a.timelineDir(n), file) }

// SegmentName returns the object that holds the segment of file that begins at
// start.
func (a *Archive) SegmentName(timeline int64, file string, start int64) string {
	return path.Join(a.fileDir(timeline, file), segmentBase(start))
}

// ValidFile reports whether name can be a binlog file's: a base name, a dot and a
// number (mysql-bin.000042).
func ValidFile(name string) bool {
	_, _, ok := splitFile(name)
	return ok && validPart(name) && name[0] != '.'
}

// splitFile returns a binlog file's base name and its number without leading
// zeros.
func splitFile(name string) (base, number string, ok bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 || dot == len(name)-1 {
		return "", "", false
	}
	digits := name[dot+1:]
	if strings.Trim(digits, "0123456789") != "" {
		return "", "", false
	}
	return name[:dot], strings.TrimLeft(digits, "0"), true
}

// FileBase returns a binlog file's name without its number: what the server's log_bin
// says.
func FileBase(name string) string {
	base, _, _ := splitFile(name)
	return base
}

// FileBefore reports whether binlog file a is known to come before b: both have
// the same base name, and a the lower number.
func FileBefore(a, b string) bool {
	aBase, aNumber, aOK := splitFile(a)
	bBase, bNumber, bOK := splitFile(b)
	if !aOK || !bOK || aBase != bBase {
		return false
	}
	if len(aNumber) != len(bNumber) {
		return len(aNumber) < len(bNumber)
	}
	return aNumber < bNumber
}
