// Package faults strikes a system under test the way production does: the network between two programs, a process, the
// disk. It is for tests and for scripts/chaos, and knows nothing of Binkeeper.
//
// The caller that orders a fault has to see that it struck, since one that met nothing proves nothing: what [Proxy.Struck]
// counts, an error where a fault could not be done, and in tests package faultstest, which fails the test by itself.
//
//	Proxy     what stands between two programs: cut, kill, freeze, delay, lose replies, or the n-th packet alone
//	Stop      a process that is suspended, and goes on later with all that it was about to do
//	FullDisk  a disk of its own: full, read-only, or gone; needs root
//	Clock     the wall clock of one process, put forward and back
//
// Servers that are kept from each other are package servers' Network.
package faults
