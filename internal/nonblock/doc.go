// Package nonblock writes to network connections without waiting: [Write] and [Writev] write what the
// system takes at once, so that a goroutine that has a few bytes for a connection need not wake another
// one for them. On systems other than Linux nothing is taken, and callers write as usual.
package nonblock
