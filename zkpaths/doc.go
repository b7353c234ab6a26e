// Package zkpaths is the contract between Binkeeper's programs: every znode
// path, and the payload that stands in it. It is pure: it builds, checks and
// parses text, and knows no ZooKeeper client.
//
//	/tasks/<id>                                  Spec: what the operator wants
//	/tasks/<id>/instance/server_<serverID>_<seq> Instance: a place in the line; ephemeral, sequential
//	/tasks/<id>/lastCommit                       LastCommit: the checkpoint
//	/tasks/<id>/status                           Status: what the primary says of itself
//	/workers/server_<serverID>                   Worker: who is alive; ephemeral
//	/removed                                     Removals: the tasks that were removed last
//
// A task is removed in one step: its four nodes are deleted, and its id is entered in
// /removed, which keeps the last 256. The step that creates a task takes its id out. So a
// task that was there, and stands neither there nor in /removed, has vanished: its znodes
// were deleted by other means, or the ensemble has lost its data.
//
// The removal of a task that has vanished is a Spec with no more than "desired":
// "removed" and "vanished": true, with the three nodes below it. It stands for
// VanishedStands, so that every monitor sees it: a worker counts that from when it has
// seen it first, and removes it then. Without a worker it stands until one comes.
//
// The root of a connect string (host:port,host:port/root) stands in front of
// every path; the holder of the connection prefixes it.
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
//
// # Blocked tasks
//
// A task in state blocked needs an operator. Its status has the reason, one of the
// Blocked words, the server that answered at the source's address (SeenServer), and,
// where a host's own mount, flags or version may be the cause, the Findings:
//
//	"findings": [{"server_id": "1", "instance": "server_1_0000000004", "reason": "archive-behind", "at": "…"}]
//
// Such a block goes round the line once: who finds it adds a finding and leaves the
// task to the next, until all in the line have one. A status that is blocked when it is
// handed on stays so, and names no instance until the next claim. Findings of
// instances that have left the line hold no longer; all are dropped when the task
// runs, and when the operator answers (Spec.Accept, Spec.ResumedAt, or another change
// of what a worker goes by).
//
// An answer (Accept) holds for the reason, the server and the checkpoint that it names.
package zkpaths
