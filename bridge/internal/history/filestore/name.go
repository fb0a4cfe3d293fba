package filestore

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// DirName returns the name of the directory of a route's log: what of its path is safe in every
// file system, and a hash, which is different for each path.
func DirName(path string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, path)
	if safe = strings.Trim(safe, "-"); len(safe) > 40 {
		safe = safe[:40]
	}
	hash := sha256.Sum256([]byte(path))
	return strings.TrimLeft(safe+"-", "-") + hex.EncodeToString(hash[:8])
}
