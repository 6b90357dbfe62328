package main

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// unclaimedBytes are left alone: what an edge with few callers holds.
	unclaimedBytes = 24 << 20
	// longestPause is in looks: as often the collector runs by itself, about.
	longestPause = 24
)

// leftovers gives back to the system what a burst of callers has left behind. By itself the collector runs when
// the heap has doubled, or after two minutes: until then an edge that has little to do would keep all that the burst took.
type leftovers struct {
	read     func() memoryUse
	giveBack func()
	cycles   uint64 // of the collector, at the last look
	pause    int    // looks to the next collection: many where what is held is in use, and would be looked through in vain
	left     int    // of them
}

type memoryUse struct {
	held   uint64 // of the system's memory, the ballast included, which takes none
	cycles uint64 // of the collector so far
}

func newLeftovers() *leftovers {
	return &leftovers{read: readMemory, giveBack: debug.FreeOSMemory, pause: 1}
}

// watch looks again and again, for as long as the process runs.
func (l *leftovers) watch(every time.Duration) {
	for range time.Tick(every) {
		l.look()
	}
}

// look collects where much is held and the collector has had next to nothing to do since the last look.
func (l *leftovers) look() {
	before := l.read()
	idle := before.cycles <= l.cycles+1
	l.cycles = before.cycles
	l.left = max(l.left-1, 0)
	if !idle || l.left > 0 || before.held <= ballastBytes+unclaimedBytes {
		return
	}
	l.giveBack()
	after := l.read()
	l.cycles = after.cycles
	if after.held < before.held-before.held/4 {
		l.pause = 1
	} else {
		l.pause = min(2*l.pause, longestPause)
	}
	l.left = l.pause
}

func readMemory() memoryUse {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(samples)
	return memoryUse{held: samples[0].Value.Uint64() - samples[1].Value.Uint64(), cycles: samples[2].Value.Uint64()}
}
