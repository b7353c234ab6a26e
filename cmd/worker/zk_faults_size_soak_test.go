//go:build integration && soak

package main

import "time"

// quorumLoss is how long the ensemble is without a quorum.
const quorumLoss = 5 * time.Minute
