package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A storm of logins leaves garbage behind, and what comes then makes none: fan-out needs no
// memory. The collector, which waits for as much garbage as there is in use, would leave
// that for a long time, and what it frees the runtime gives back slowly. So it is given
// back as soon as such a storm is over.
const (
	// lookEvery is the time between looks at how much was allocated.
	lookEvery = time.Second
	// calm is how much is allocated between two looks, in octets, when nothing goes on that
	// would need the memory again at once.
	calm = 1 << 20
	// worthwhile is how much must have been allocated since memory was last given back, in
	// octets: that costs a collection.
	worthwhile = 8 << 20
)

// giveBackMemory does so until ctx is done.
func giveBackMemory(ctx context.Context) {
	ticks := time.NewTicker(lookEvery)
	defer ticks.Stop()
	allocated := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	var s storm
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		metrics.Read(allocated)
		if s.over(allocated[0].Value.Uint64()) {
			debug.FreeOSMemory()
		}
	}
}

// storm is what was allocated so far, in octets, at two moments.
type storm struct{ lastLook, givenBack uint64 }

// over tells whether what was allocated in a storm is to be given back now, and takes it
// for done.
func (s *storm) over(allocated uint64) bool {
	fresh := allocated - s.lastLook
	s.lastLook = allocated
	if fresh > calm || allocated-s.givenBack < worthwhile {
		return false
	}
	s.givenBack = allocated
	return true
}
