package htpasswd

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// verified remembers passwords that were compared with their hash and were right, one for each
// user, so that the next login does not need another hash. It keeps no password but an
// HMAC-SHA256 with a random key.
type verified struct {
	secret [32]byte
	max    int

	mu      sync.Mutex
	sums    map[string]sum        // by user
	hashing map[sum]chan struct{} // closed when the password has been compared
}

type sum [sha256.Size]byte

func newVerified(max int) *verified {
	v := &verified{max: max, sums: make(map[string]sum), hashing: make(map[sum]chan struct{})}
	rand.Read(v.secret[:])
	return v
}

// sum returns the keyed hash of a password for a line of the file. A login is thus never
// accepted by what was verified before the line changed.
func (v *verified) sum(user, hash, password string) (s sum) {
	h := hmac.New(sha256.New, v.secret[:])
	for _, field := range [...]string{user, hash, password} {
		h.Write(binary.AppendUvarint(nil, uint64(len(field))))
		h.Write([]byte(field))
	}
	h.Sum(s[:0])
	return s
}

// has reports whether s is the user's last verified password. A wrong password takes as long
// as if nothing were known, since it has to be hashed in either case.
func (v *verified) has(user string, s sum) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	known, ok := v.sums[user]
	return ok && hmac.Equal(known[:], s[:])
}

// awaited returns a channel that is closed once a password that is being compared at the moment has
// been; nil if s is not.
func (v *verified) awaited(s sum) <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.hashing[s]
}

// begin says that s is being compared, until the returned function is called.
func (v *verified) begin(s sum) (done func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.max == 0 || v.hashing[s] != nil {
		return func() {}
	}
	compared := make(chan struct{})
	v.hashing[s] = compared
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.hashing, s)
		close(compared)
	}
}

// add remembers a verified password. If the cache is full, another user's is dropped.
func (v *verified) add(user string, s sum) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, known := v.sums[user]; !known && len(v.sums) >= v.max {
		for other := range v.sums {
			if len(v.sums) < v.max {
				break
			}
			delete(v.sums, other)
		}
	}
	if v.max > 0 {
		v.sums[user] = s
	}
}

func (v *verified) clear() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.sums)
}
