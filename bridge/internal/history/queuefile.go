package history

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// QueueFile is a file that holds the permanent queues of any number of routes.
type QueueFile struct{ db *bbolt.DB }

// openWait is how long OpenQueueFile waits for another process to leave the file.
const openWait = time.Second

// OpenQueueFile opens the file, which only one process can have open, or makes it. The caller
// closes it after the stores that Route has returned.
func OpenQueueFile(name string) (*QueueFile, error) {
	db, err := bbolt.Open(name, 0o600, &bbolt.Options{Timeout: openWait})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%s: another process has it open: stop that, or give this bridge a history.dir of its own", name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &QueueFile{db}, nil
}

// Close closes the file.
func (f *QueueFile) Close() error { return f.db.Close() }

// Route returns the store of the queues of a route. Closing it does nothing.
func (f *QueueFile) Route(path string) QueueStore { return routeQueues{f.db, []byte(path)} }

// routeQueues is the bucket of a route. Its keys are the length of the user's name, the name and
// the queue's name.
type routeQueues struct {
	db     *bbolt.DB
	bucket []byte
}

// storedQueue is a value in the bucket. Topics are any bytes, which JSON strings are not.
type storedQueue struct {
	Topics [][]byte  `json:"topics"`
	Acked  []byte    `json:"acked"`
	Seen   time.Time `json:"seen"`
}

func (key QueueKey) bytes() []byte {
	b := binary.AppendUvarint(nil, uint64(len(key.User)))
	return append(append(b, key.User...), key.Name...)
}

func parseQueueKey(b []byte) (QueueKey, error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return QueueKey{}, errors.New("malformed key")
	}
	return QueueKey{string(b[n : n+int(size)]), string(b[n+int(size):])}, nil
}

// Load implements QueueStore.
func (r routeQueues) Load(f func(QueueKey, QueueState)) error {
	return r.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(r.bucket)
		if bucket == nil {
			return nil
		}
		return bucket.ForEach(func(k, v []byte) error {
			key, err := parseQueueKey(k)
			var stored storedQueue
			if err == nil {
				err = json.Unmarshal(v, &stored)
			}
			var state QueueState
			if err == nil {
				err = state.Acked.UnmarshalBinary(stored.Acked)
			}
			if err != nil {
				return fmt.Errorf("%s: damaged: a queue of route %s: %w; remove the file to begin without queues", r.db.Path(), r.bucket, err)
			}
			state.Seen = stored.Seen
			for _, t := range stored.Topics {
				state.Topics = append(state.Topics, string(t))
			}
			f(key, state)
			return nil
		})
	})
}

// Save implements QueueStore.
func (r routeQueues) Save(changes map[QueueKey]*QueueState) error {
	return r.db.Update(func(tx *bbolt.Tx) error {
		bucket, err := tx.CreateBucketIfNotExists(r.bucket)
		if err != nil {
			return err
		}
		for key, state := range changes {
			if state == nil {
				if err := bucket.Delete(key.bytes()); err != nil {
					return err
				}
				continue
			}
			stored := storedQueue{Seen: state.Seen}
			stored.Acked, _ = state.Acked.AppendBinary(nil)
			for _, t := range state.Topics {
				stored.Topics = append(stored.Topics, []byte(t))
			}
			value, err := json.Marshal(stored)
			if err != nil {
				return err
			}
			if err := bucket.Put(key.bytes(), value); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close implements QueueStore.
func (r routeQueues) Close() error { return nil }
