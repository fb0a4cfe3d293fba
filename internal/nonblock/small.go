//go:build !race

package nonblock

// small is up to how many bytes a call moves without the scheduler's knowledge, which keeps its
// processor from other goroutines and from the garbage collector meanwhile.
const small = 64 << 10
