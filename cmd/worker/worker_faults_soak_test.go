//go:build faults && soak

//faults:worker

package main

import (
	"testing"
	"time"
)

func TestSoakSwitchovers(t *testing.T) { testSwitchovers(t, 5*time.Minute) }
