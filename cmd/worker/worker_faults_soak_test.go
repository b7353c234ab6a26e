//go:build integration && soak

package main

import (
	"testing"
	"time"
)

func TestSoakSwitchovers(t *testing.T) { testSwitchovers(t, 5*time.Minute) }
