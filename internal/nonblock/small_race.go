//go:build race

package nonblock

// small is 0, since the race detector learns from package syscall that a write happens before the read at
// the other end.
const small = 0
