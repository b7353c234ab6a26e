package worker

import "time"

// Hurry shortens the times by which a worker gives up on what does not work.
func (w *Worker) Hurry(unreachable, wedge, report time.Duration) {
	w.bounds.unreachable, w.bounds.wedge, w.bounds.report = unreachable, wedge, report
}
