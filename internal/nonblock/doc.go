// Package nonblock reads and writes sockets by system calls that do not wait. [Write] and [Writev]
// write what the system takes at once, so that a goroutine that has a few bytes for a connection need
// not wake another one for them. A [Reader] waits for bytes as a net.Conn does.
//
// The scheduler is not told about small calls, which end within microseconds: what it does around a
// system call costs as much as the call, and on a server that is often idle for a moment each first
// call would wake its monitor thread. On systems other than Linux connections are used as usual.
package nonblock
