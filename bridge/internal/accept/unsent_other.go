//go:build !linux

package accept

// limitUnsent does nothing: only Linux has such a limit.
func (c *Conn) limitUnsent() {}

// unacknowledged returns -1: it is not known.
func (c *Conn) unacknowledged() int { return -1 }
