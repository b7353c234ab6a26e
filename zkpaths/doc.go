// Package zkpaths is the contract between Binkeeper's programs: every znode
// path, and the payload that stands in it. It is pure: it builds, checks and
// parses text, and knows no ZooKeeper client.
//
//	/tasks/<id>                                  Spec: what the operator wants
//	/tasks/<id>/instance/server_<serverID>_<seq> Instance: a place in the line; ephemeral, sequential
//	/tasks/<id>/lastCommit                       LastCommit: the checkpoint
//	/tasks/<id>/status                           Status: what the primary says of itself
//	/workers/server_<serverID>                   Worker: who is alive; ephemeral
//
// The root of a connect string (host:port,host:port/root) stands in front of
// every path; whoever holds the connection prefixes it.
//
// # Payloads
//
// A payload is one JSON object under 64 KiB with "format": 1. A higher format
// is refused (NewerFormatError), not guessed. Keys that this version does not
// know are kept when the payload is written again. Times are RFC 3339 in UTC or
// null, durations text such as "1s", sizes and offsets integers in bytes.
//
// No payload holds a secret: a Spec refers to its password by file:PATH or
// env:NAME.
package zkpaths
