//go:build !unix

package certs

import (
	"io/fs"
	"runtime"
)

// hasModes reports whether files have the permission bits of Unix.
const hasModes = runtime.GOOS != "windows"

// ownedByRootOrUs reports false: the owner of a file is not known here.
func ownedByRootOrUs(fs.FileInfo) bool { return false }
