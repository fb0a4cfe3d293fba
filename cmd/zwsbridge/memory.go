package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A burst of logins leaves garbage behind, and fan-out afterwards allocates nothing: the
// next collection, which waits until the heap has doubled, may never come. So releaseMemory
// runs one after each burst and returns the memory to the operating system. What lies between
// objects in use cannot be returned, so while their number grows, collections come early and
// new objects fill the gaps.
//
// Measured with `go run . -only idle -peers '^zwsbridge$'` in bridge/bench, kB of resident
// memory per idle client of 5,000, without and with TLS, go1.26:
//
//	this file                    5.0    8.5
//	GOGC=100, releases only      5.6    9.6
//	GOGC=50, releases only       5.1    8.7
//
// Before clients took half as much, runtime defaults without releases cost 10.4 and 20.7 instead
// of 7.2 and 15.5, and GOMEMLIMIT=64MiB 10.3 and 13.4, collecting all the time.
//
// GOGC=50 at all times also costs a third more processor time for requests (DEALER with 64 in flight: 3.6
// instead of 2.6 CPU seconds per million). A GOMEMLIMIT would have to match the number of
// clients.
const (
	// allocationInterval is the time between two looks at the amount of allocated memory.
	allocationInterval = time.Second
	// quietBytes is the most that is allocated in an interval when no burst is going on:
	// during a burst the memory would be needed again at once.
	quietBytes = 1 << 20
	// minBurstBytes is the least that is allocated between two releases, because each
	// costs a collection.
	minBurstBytes = 8 << 20
	// usualPercent is GOGC by default. While what is in use grows, GOGC is between growingPercent and that,
	// so that growingBytes are allocated between two collections: 25 % of a small heap is the garbage of a
	// few dozen logins, and collections took a fifth of the processor time of a login over TLS.
	usualPercent, growingPercent = 100, 25
	growingBytes                 = 8 << 20
	// settledTicks is after how many intervals without growth usualPercent applies again.
	settledTicks = 3
)

// releaseMemory returns memory to the operating system after each burst of allocations,
// until ctx is done.
func releaseMemory(ctx context.Context) {
	ticker := time.NewTicker(allocationInterval)
	defer ticker.Stop()
	heap := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	var b burst
	g := growth{off: os.Getenv("GOGC") != ""}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(heap)
		if percent, changed := g.tick(heap[1].Value.Uint64()); changed {
			debug.SetGCPercent(percent)
		}
		if b.ended(heap[0].Value.Uint64()) {
			runtime.GC() // pools give up what they hold in the second collection
			debug.FreeOSMemory()
		}
	}
}

// burst detects the end of a burst of allocations. Its fields are amounts of bytes
// allocated since the start of the program.
type burst struct{ lastTick, lastRelease uint64 }

// ended reports whether a burst has ended at this tick, given the bytes allocated so far.
// It reports the end of each burst once.
func (b *burst) ended(total uint64) bool {
	recent := total - b.lastTick
	b.lastTick = total
	if recent > quietBytes || total-b.lastRelease < minBurstBytes {
		return false
	}
	b.lastRelease = total
	return true
}

// growth detects that the memory in use grows. Unless it is off, it chooses GOGC.
type growth struct {
	off     bool
	live    uint64 // bytes after the last collection
	percent int    // GOGC while it grows; 0: it does not
	settled int    // ticks without growth
}

// tick returns what GOGC is to be from now on, given the bytes in use after the last collection.
func (g *growth) tick(live uint64) (percent int, changed bool) {
	grows := g.live > 0 && live > g.live+g.live/64
	g.live = live
	switch {
	case g.off:
	case grows:
		percent = int(min(max(growingBytes*100/live, growingPercent), usualPercent))
		changed = percent != g.percent
		g.percent, g.settled = percent, 0
		return percent, changed
	case g.percent > 0:
		if g.settled++; g.settled == settledTicks {
			g.percent, g.settled = 0, 0
			return usualPercent, true
		}
	}
	return 0, false
}
