//go:build unix

package certs

import (
	"io/fs"
	"os"
	"syscall"
)

// hasModes reports whether files have the permission bits of Unix.
const hasModes = true

// ownedByRootOrUs reports whether a file belongs to root or to the user of this process.
func ownedByRootOrUs(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int(stat.Uid) == os.Geteuid())
}
