package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"binkeeper/internal/servers"
)

// A strike is one fault, planned in advance.
type strike struct {
	number int // from 1
	at     time.Duration
	lasts  time.Duration // 0 for what happens at a moment
	kind   string
	target string
	degree time.Duration // of a delay
}

// until is when it is healed.
func (s strike) until() time.Duration { return s.at + s.lasts }

func (s strike) String() string {
	text := fmt.Sprintf("#%-3d at %6.2fs  %-19s %s", s.number, s.at.Seconds(), s.kind, s.target)
	if s.degree > 0 {
		text += fmt.Sprintf(", by %s", s.degree)
	}
	if s.lasts > 0 {
		text += fmt.Sprintf(", until %.2fs", s.until().Seconds())
	}
	return text
}

// A kind is a kind of fault, as the schedule draws it.
type kind struct {
	name     string
	cards    int // in a deck: how often it comes, among the others
	targets  []string
	min, max time.Duration // how long it lasts
	degree   time.Duration // the longest delay
	early    time.Duration // how long before the end of a run it may strike at the latest
}

// sessionTimeout is the workers'.
const sessionTimeout = 4 * time.Second

// The targets. Which worker is a task's primary or standby turns out when the fault strikes.
var (
	taskNames   = []string{"orders", "orders-small", "stock", "stock-small"}
	sourceNames = []string{"mysql", "mariadb"}
	workerNames = []string{"worker 1", "worker 2", "worker 3"}
	serverNames = []string{"zookeeper 1", "zookeeper 2", "zookeeper 3"}
	// someWorker is any worker, and twice as often a primary.
	someWorker = slices.Concat(workerNames, prefixed("primary of ", taskNames), []string{"primary of orders", "primary of stock"})
)

func prefixed(prefix string, names []string) []string {
	var all []string
	for _, name := range names {
		all = append(all, prefix+name)
	}
	return all
}

const (
	second = time.Second
	minute = time.Minute
)

// kinds are all faults. A short stop is shorter than half the session timeout, a long one outlasts it. A dump that is
// idle is not told of a reset: a worker asks once a minute.
var kinds = []kind{
	{name: "worker-kill", cards: 4, targets: someWorker, min: second / 10, max: 6 * second},
	{name: "worker-terminate", cards: 2, targets: someWorker, min: second / 10, max: 4 * second},
	{name: "worker-stop-short", cards: 1, targets: someWorker, min: second / 5, max: sessionTimeout/2 - second/10},
	{name: "worker-stop-long", cards: 2, targets: someWorker, min: sessionTimeout + second, max: sessionTimeout + 5*second},
	{name: "coord-cut", cards: 1, targets: someWorker, min: second, max: 8 * second},
	{name: "coord-freeze", cards: 1, targets: someWorker, min: second, max: 8 * second},
	{name: "coord-delay", cards: 1, targets: someWorker, min: second, max: 8 * second, degree: second},
	{name: "coord-lose-replies", cards: 1, targets: someWorker, min: second / 2, max: 6 * second},
	{name: "source-cut", cards: 1, targets: taskNames, min: second / 2, max: 6 * second},
	{name: "source-freeze", cards: 1, targets: taskNames, min: second / 2, max: 8 * second},
	{name: "source-delay", cards: 1, targets: taskNames, min: second, max: 6 * second, degree: second / 5},
	{name: "source-lose-replies", cards: 1, targets: taskNames, min: second / 2, max: 5 * second},
	{name: "zookeeper-kill", cards: 1, targets: serverNames, min: second / 2, max: 6 * second},
	{name: "zookeeper-stop", cards: 1, targets: serverNames, min: second / 2, max: 7 * second},
	{name: "quorum-loss", cards: 1, targets: serverNames, min: 2 * second, max: 8 * second}, // of the two others
	{name: "server-kill", cards: 1, targets: sourceNames, min: second / 10, max: 4 * second},
	{name: "server-restart", cards: 1, targets: sourceNames, min: second / 10, max: 2 * second},
	{name: "dump-kill", cards: 3, targets: sourceNames},
	{name: "rotate", cards: 2, targets: sourceNames},
	{name: "reset", cards: 1, targets: sourceNames, early: minute},
	{name: "pause", cards: 1, targets: taskNames, min: second / 2, max: 5 * second},
	{name: "switchover", cards: 2, targets: taskNames},
	{name: "instance-delete", cards: 1, targets: slices.Concat(prefixed("primary of ", taskNames), prefixed("standby of ", taskNames))},
	{name: "checkpoint-delete", cards: 1, targets: taskNames},
	{name: "checkpoint-garbage", cards: 1, targets: taskNames},
	{name: "status-delete", cards: 1, targets: taskNames},
	{name: "disk-full", cards: 1, targets: []string{diskTask}, min: second, max: 8 * second},
	{name: "disk-read-only", cards: 1, targets: []string{diskTask}, min: second, max: 8 * second},
	{name: "disk-away", cards: 1, targets: []string{diskTask}, min: second, max: 8 * second},
	{name: "monitor-kill", cards: 1, targets: []string{"monitor"}, min: second / 5, max: 4 * second},
}

// diskTask is the task whose archive has a disk of its own.
const diskTask = "orders"

const (
	// quiet is how long nothing strikes before everything has begun to work, and calm how long now and then later: a
	// fault in the middle of work shows more than one in the middle of others.
	quiet = 3 * second
	calm  = 7 * second
	// most is the longest pause between two strikes otherwise.
	most = 3 * second
)

// schedule plans all strikes of a run. It is a function of the seed and the length alone, and all of it is healed within
// the length. Kinds are dealt from a shuffled deck, so that each comes as soon as all others have come.
func schedule(seed uint64, length time.Duration) []strike {
	random := rand.New(rand.NewPCG(seed, 5))
	var strikes []strike
	var deck []kind
	for at := quiet; at < length; at += pauseBefore(random) {
		if len(deck) == 0 {
			deck = newDeck(random)
		}
		k := deck[0]
		deck = deck[1:]
		s := strike{number: len(strikes) + 1, at: at, kind: k.name, target: k.targets[random.IntN(len(k.targets))], lasts: between(random, k.min, k.max)}
		if k.degree > 0 {
			s.degree = between(random, k.degree/20, k.degree)
		}
		if s.until()+k.early <= length {
			strikes = append(strikes, s)
		}
	}
	return strikes
}

func newDeck(random *rand.Rand) []kind {
	var deck []kind
	for _, k := range kinds {
		for range k.cards {
			deck = append(deck, k)
		}
	}
	random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

func pauseBefore(random *rand.Rand) time.Duration {
	if random.IntN(12) == 0 {
		return calm
	}
	return between(random, second/10, most)
}

// between is a duration from low up to high, to the millisecond.
func between(random *rand.Rand, low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return (low + time.Duration(random.Int64N(int64(high-low)))).Round(time.Millisecond)
}

// mariadbOf is which MariaDB a seed runs on.
func mariadbOf(seed uint64) servers.Kind {
	if seed%2 == 0 {
		return servers.MariaDB1011
	}
	return servers.MariaDB118
}
