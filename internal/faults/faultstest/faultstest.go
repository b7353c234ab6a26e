// Package faultstest gives a test the faults of package faults: they end with it, and one that never struck fails it. It
// adds nothing else.
package faultstest

import (
	"testing"
	"time"

	"binkeeper/internal/faults"
)

// A Proxy is a faults.Proxy whose every fault must strike before it is healed, ordered anew, or the test ends.
type Proxy struct {
	*faults.Proxy
	tb      testing.TB
	ordered map[faults.Kind]int64 // how often it had struck when it was ordered
}

var names = map[faults.Kind]string{
	faults.Cut: "Cut", faults.Kill: "Kill", faults.Freeze: "Freeze", faults.Delay: "Delay", faults.DropReplies: "DropReplies",
	faults.Scripted: "Script",
}

// NewProxy starts a proxy that ends with the test.
func NewProxy(tb testing.TB, target string, framing faults.Framing) *Proxy {
	tb.Helper()
	p, err := faults.NewProxy(target, framing)
	if err != nil {
		tb.Fatal(err)
	}
	own := &Proxy{Proxy: p, tb: tb, ordered: map[faults.Kind]int64{}}
	tb.Cleanup(func() {
		p.Close()
		own.MustHaveStruck()
	})
	return own
}

// Cut is faults.Proxy.Cut.
func (p *Proxy) Cut() { p.order(faults.Cut); p.Proxy.Cut() }

// Kill is faults.Proxy.Kill.
func (p *Proxy) Kill() { p.order(faults.Kill); p.Proxy.Kill() }

// Freeze is faults.Proxy.Freeze.
func (p *Proxy) Freeze() { p.order(faults.Freeze); p.Proxy.Freeze() }

// Delay is faults.Proxy.Delay.
func (p *Proxy) Delay(d time.Duration) { p.order(faults.Delay); p.Proxy.Delay(d) }

// DropReplies is faults.Proxy.DropReplies.
func (p *Proxy) DropReplies() { p.order(faults.DropReplies); p.Proxy.DropReplies() }

// Script is faults.Proxy.Script; nil ends the script before.
func (p *Proxy) Script(script faults.Script) {
	p.tb.Helper()
	p.must(faults.Scripted)
	if script != nil {
		p.order(faults.Scripted)
	}
	p.Proxy.Script(script)
}

// Heal is faults.Proxy.Heal.
func (p *Proxy) Heal() {
	p.tb.Helper()
	p.MustHaveStruck()
	p.Proxy.Heal()
}

// AwaitStruck waits until every fault that was ordered since the last Heal has struck, a minute at most.
func (p *Proxy) AwaitStruck() {
	p.tb.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		waiting := false
		for kind, before := range p.ordered {
			waiting = waiting || p.Struck(kind) == before
		}
		if !waiting {
			return
		}
	}
	p.MustHaveStruck()
	p.tb.FailNow()
}

// MustHaveStruck fails the test when a fault that was ordered since the last Heal has not struck.
func (p *Proxy) MustHaveStruck() {
	p.tb.Helper()
	for kind := range p.ordered {
		p.must(kind)
	}
}

func (p *Proxy) order(kind faults.Kind) {
	p.tb.Helper()
	p.must(kind)
	p.ordered[kind] = p.Struck(kind)
}

func (p *Proxy) must(kind faults.Kind) {
	p.tb.Helper()
	if before, ordered := p.ordered[kind]; ordered && p.Struck(kind) == before {
		p.tb.Errorf("the fault %s has never struck", names[kind])
	}
	delete(p.ordered, kind)
}

// Stop suspends a process, which goes on at the latest when the test ends.
func Stop(tb testing.TB, pid int) {
	tb.Helper()
	if err := faults.Stop(pid); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = faults.Continue(pid) }) // it may have ended
}

// Continue lets a suspended process go on.
func Continue(tb testing.TB, pid int) {
	tb.Helper()
	if err := faults.Continue(pid); err != nil {
		tb.Fatal(err)
	}
}

// NewFullDisk mounts a disk of a size, in bytes, on a folder of its own for as long as the test lasts.
func NewFullDisk(tb testing.TB, size int64) *faults.FullDisk {
	tb.Helper()
	d, err := faults.NewFullDisk(tb.TempDir(), size)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}
