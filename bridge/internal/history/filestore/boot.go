package filestore

import (
	"encoding/hex"
	"os"
	"strings"
)

// bootID returns an id of the time since the system was started. It is zero where the system has
// none: then every start counts as one after a loss of power.
func bootID() (id [16]byte) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id
	}
	digits := strings.ReplaceAll(strings.TrimSpace(string(text)), "-", "")
	if b, err := hex.DecodeString(digits); err == nil && len(b) == len(id) {
		copy(id[:], b)
	}
	return id
}
