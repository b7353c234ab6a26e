//go:build faults && soak

//faults:archive

package worker_test

import (
	"testing"
	"time"
)

func TestSoakStoreAway(t *testing.T) { testBadStores(t, 10*time.Minute) }

func TestSoakSlowStore(t *testing.T) { testSlowStore(t, 5*time.Minute) }

// Zombies come again and again, for minutes.
func TestSoakZombies(t *testing.T) { testZombies(t, 5*time.Minute) }
