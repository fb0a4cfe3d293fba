package jwt

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/zwsbridge/zwsbridge/zap"
)

// MaxKeys is the largest number of keys of one source: a file, a directory or a remote set.
const MaxKeys = 1000

// keyring holds the keys in force, from all sources. Reads do not lock.
type keyring struct {
	changes zap.Changes
	table   atomic.Pointer[map[string][]key] // by kid

	mu      sync.Mutex
	sources map[string][]key // by path or URL
}

func newKeyring() *keyring {
	r := &keyring{sources: make(map[string][]key)}
	r.table.Store(&map[string][]key{})
	return r
}

// set replaces the keys of a source and reports whether that changed anything, which the first
// keys of a source always do. The caller then calls changes.Notify.
func (r *keyring) set(source string, keys []key) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	same := func(a, b key) bool { return a.kid == b.kid && a.alg == b.alg && a.print == b.print }
	if old, known := r.sources[source]; known && slices.EqualFunc(old, keys, same) {
		return false
	}
	r.sources[source] = keys
	table := make(map[string][]key)
	for _, keys := range r.sources {
		for _, k := range keys {
			table[k.kid] = append(table[k.kid], k)
		}
	}
	r.table.Store(&table)
	return true
}

// find returns the keys that may have signed a token: those with its kid, or for a token
// without one those with the kid fallback, or the only key.
func (r *keyring) find(kid, fallback string) []key {
	table := *r.table.Load()
	if kid == "" {
		kid = fallback
	}
	if kid != "" {
		return table[kid]
	}
	if len(table) == 1 {
		for _, keys := range table {
			return keys
		}
	}
	return nil
}

// has reports whether the source's keys have been read.
func (r *keyring) has(source string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.sources[source]
	return known
}

// holds reports whether a key is still in force.
func (r *keyring) holds(k key) bool {
	return slices.ContainsFunc((*r.table.Load())[k.kid], func(other key) bool {
		return other.print == k.print && other.alg == k.alg
	})
}

// size returns the number of keys.
func (r *keyring) size() (n int) {
	for _, keys := range *r.table.Load() {
		n += len(keys)
	}
	return n
}
