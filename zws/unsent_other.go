//go:build !linux

package zws

import "net"

// limitUnsent does nothing: only Linux can be told how much it may keep.
func limitUnsent(net.Conn) {}
