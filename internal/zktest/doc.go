// Package zktest is a ZooKeeper in memory, for tests: it speaks the wire protocol of a server to any number of clients,
// over connections in memory or real ones, and does what ZooKeeper 3.8 does with sessions, ephemerals, sequences,
// versions, multis and watches.
//
// One state machine stands for the whole ensemble: requests are carried out one after the other, in the order in which
// they arrive, and each that changes something has a zxid of its own. Time is that of package time, so that in a
// testing/synctest bubble a session expires in virtual time.
//
// It promises the same replies as a real server to the requests that it knows; a test holds the two against each other,
// and the tests of internal/coord run on both. It knows no authentication but ACLs of world:anyone, no quotas, no TTL
// and no reconfiguration, and keeps nothing on a disk.
package zktest
