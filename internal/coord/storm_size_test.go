//go:build faults && !soak

package coord

const (
	stormTasks  = 500 // five watches each: a standby's one, and the monitor's four
	stormRounds = 10
)
