package worker

import "time"

// Hurry shortens the times by which a worker gives up on what does not work.
func (w *Worker) Hurry(unreachable, wedge, report time.Duration) {
	w.bounds.unreachable, w.bounds.wedge, w.bounds.report = unreachable, wedge, report
}

// AskAddress sets how often a worker asks its sources' addresses who answers, and how
// often a blocked one looks again.
func (w *Worker) AskAddress(every, blockedLook time.Duration) {
	w.bounds.address, w.bounds.blockedLook = every, blockedLook
}

// LookAgain sets how long after a walk that has come to less than the checkpoint the
// second one begins.
func (w *Worker) LookAgain(after time.Duration) { w.bounds.secondLook = after }
