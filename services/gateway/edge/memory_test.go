package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestABurstsMemoryIsGivenBack(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
	const burst = 128 << 20
	// Twice: what has a finalizer is free at the second time.
	debug.FreeOSMemory()
	debug.FreeOSMemory()
	before := readMemory().held
	blocks := make([][]byte, 1024)
	for i := range blocks {
		blocks[i] = make([]byte, burst/len(blocks))
	}
	equal(t, "held by the burst", readMemory().held > before+burst/2, true)
	runtime.KeepAlive(blocks)
	blocks = nil
	edge := newLeftovers()
	edge.cycles = readMemory().cycles
	edge.look()
	equal(t, "left of the burst", readMemory().held < before+burst/4, true)
}

func TestTheCollectorIsLeftAloneWhereItWorksOrFindsNothing(t *testing.T) {
	const few = ballastBytes + unclaimedBytes
	use := memoryUse{}
	collections, live := 0, uint64(0)
	edge := newLeftovers()
	edge.read = func() memoryUse { return use }
	edge.giveBack = func() { collections++; use.held = live; use.cycles++ }
	for _, step := range []struct {
		name         string
		held, live   uint64
		cycles       uint64
		looks, wants int
	}{
		{"few callers", few, few, 0, 3, 0},
		{"a burst, while the collector works", 4 * few, few, 2, 1, 0},
		{"its end", 4 * few, few, 1, 1, 1},
		{"few callers again", few, few, 0, 3, 1},
		{"many who stay", 4 * few, 4 * few, 0, 1, 2},
		{"two looks later", 4 * few, 4 * few, 0, 2, 3},
		{"four looks later", 4 * few, 4 * few, 0, 4, 4},
		{"after many", 4 * few, 4 * few, 0, 8 + 16 + 8*longestPause, 14},
		{"their end", 4 * few, few, 0, longestPause, 15},
		{"the next burst", 4 * few, few, 0, 1, 16},
	} {
		use.held, live = step.held, step.live
		use.cycles += step.cycles
		for range step.looks {
			edge.look()
		}
		equal(t, step.name, collections, step.wants)
	}
}
