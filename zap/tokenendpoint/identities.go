package tokenendpoint

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// lockTimeout is how long [OpenIdentities] waits for another process to close the file.
const lockTimeout = time.Second

// The buckets of the file.
var (
	bucketIDs   = []byte("ids")   // user → UUID
	bucketUsers = []byte("users") // UUID → user
)

// Identities is a persistent map between an application's users and random UUIDs (version 4).
// Entries are never removed. It is safe for concurrent use.
type Identities struct {
	db *bbolt.DB
}

// OpenIdentities opens the file, or creates it with mode 0600. The caller closes it. Opening a
// file that is already open, in this process or another, is an error.
func OpenIdentities(file string) (*Identities, error) {
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: lockTimeout})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("identities in %s: the file is in use", file)
	case err != nil:
		return nil, fmt.Errorf("identities in %s: %w", file, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucketIDs)
		if err == nil {
			_, err = tx.CreateBucketIfNotExists(bucketUsers)
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("identities in %s: %w", file, err), db.Close())
	}
	return &Identities{db}, nil
}

// Close waits for the calls in progress and closes the file.
func (m *Identities) Close() error { return m.db.Close() }

// ID returns the UUID of a user. For a new user it creates one, which is on the disk when ID
// returns. A user id has 1 to [MaxUser] bytes.
func (m *Identities) ID(user string) (string, error) {
	if user == "" || len(user) > MaxUser {
		return "", fmt.Errorf("identities: user id of %d bytes, want 1 to %d", len(user), MaxUser)
	}
	id, ok, err := m.LookupID(user)
	if ok || err != nil {
		return id, err
	}
	// Batch lets concurrent calls share one write.
	err = m.db.Batch(func(tx *bbolt.Tx) error {
		ids, users := tx.Bucket(bucketIDs), tx.Bucket(bucketUsers)
		if known := ids.Get([]byte(user)); known != nil { // created meanwhile
			id = string(known)
			return nil
		}
		id = newUUID()
		return errors.Join(ids.Put([]byte(user), []byte(id)), users.Put([]byte(id), []byte(user)))
	})
	if err != nil {
		return "", fmt.Errorf("identities: %w", err)
	}
	return id, nil
}

// LookupID returns the UUID of a user; ok is false if there is none.
func (m *Identities) LookupID(user string) (id string, ok bool, err error) {
	return m.lookup(bucketIDs, user)
}

// LookupUser returns the user with a UUID; ok is false if there is none.
func (m *Identities) LookupUser(id string) (user string, ok bool, err error) {
	return m.lookup(bucketUsers, id)
}

func (m *Identities) lookup(bucket []byte, key string) (value string, ok bool, err error) {
	err = m.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bucket).Get([]byte(key)); v != nil {
			value, ok = string(v), true
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("identities: %w", err)
	}
	return value, ok, err
}

// newUUID returns a UUID of version 4 (RFC 9562, section 5.4): 122 random bits.
func newUUID() string {
	var u [16]byte
	rand.Read(u[:])
	u[6] = u[6]&0x0f | 0x40 // version
	u[8] = u[8]&0x3f | 0x80 // variant
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
