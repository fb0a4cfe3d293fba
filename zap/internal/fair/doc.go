// Package fair limits how much work is done at the same time, and lets shares of the work wait
// separately, so that a flood in one share does not delay the others.
//
// [With] names the share of the work that is done with a context; [Slots.Acquire] waits for a
// slot in that share, and [Slots.Release] passes a slot on to the next share, in turn.
package fair
