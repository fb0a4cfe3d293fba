//go:build !linux

package zws

import "net"

// limitUnsent does nothing: only Linux has such a limit.
func limitUnsent(net.Conn) {}

// unsent is not known on other systems.
func unsent(net.Conn) (n int, known bool) { return 0, false }
