//go:build !linux

package zws

import "net"

// limitUnsent does nothing: only Linux has such a limit.
func limitUnsent(net.Conn) {}
