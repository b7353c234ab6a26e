// Package backoff says how long to pause before something that has failed is tried again.
package backoff

import "time"

const first, longest = 250 * time.Millisecond, 15 * time.Second

// Delay is the pause before the n-th retry in a row, from 1: 250 ms, doubled each time, 15 s at most.
func Delay(n int) time.Duration {
	if n > 6 {
		return longest
	}
	return min(first<<(n-1), longest)
}
