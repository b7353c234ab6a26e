//go:build faults && soak

package coord

const (
	stormTasks  = 4000 // 20,000 watches
	stormRounds = 50
)
