//go:build faults && !soak

package main

import "time"

const (
	// quorumLoss is how long the ensemble is without a quorum.
	quorumLoss = 20 * time.Second
	// forbidden is how long a primary may not commit; one without its source or store yields after 30 s.
	forbidden = 5 * time.Second
)
