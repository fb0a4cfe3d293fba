package jwt

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/zwsbridge/zwsbridge/zap"
)

// MaxKeys is how many keys one source, a folder or a remote set, may have.
const MaxKeys = 1000

// keyring is the keys in force, from all sources. Reading it takes no lock.
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

// set puts keys in the place of those that the source had, and tells whether that changed
// anything, as the first keys of a source do. The caller notifies whoever follows then.
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

// find returns the keys that may have signed a token: those called kid, and for a token
// without kid the default, or the only key there is.
func (r *keyring) find(kid, standard string) []key {
	table := *r.table.Load()
	if kid == "" {
		kid = standard
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

// has tells whether the source's keys have been read.
func (r *keyring) has(source string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.sources[source]
	return known
}

// holds tells whether a key is still in force.
func (r *keyring) holds(k key) bool {
	return slices.ContainsFunc((*r.table.Load())[k.kid], func(other key) bool {
		return other.print == k.print && other.alg == k.alg
	})
}

// size is the number of keys.
func (r *keyring) size() (n int) {
	for _, keys := range *r.table.Load() {
		n += len(keys)
	}
	return n
}
