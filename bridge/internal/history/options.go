package history

import "time"

// Options configure a log. All but Replica, Store and OnState can be changed by Update.
type Options struct {
	// Topics are the prefixes that are kept ([route.history] topics). Messages with other topics
	// are not.
	Topics [][]byte
	// MaxBytes bounds the memory of messages, last values and topics together; last values that
	// have left the log take at most half. 0 means 64 MiB.
	MaxBytes int64
	// MaxAge bounds the age of messages. 0 means that it is not bounded.
	MaxAge time.Duration
	// LastValues keeps the newest message of each topic.
	LastValues bool
	// LastValueAge bounds the age of last values, and MaxLastValues their number; beyond it, the
	// longest untouched topic goes first. 0 means that they are not bounded.
	LastValueAge  time.Duration
	MaxLastValues int
	// Replica makes the log a copy of what other processes keep as well: its records come by
	// Replicate, and Append, Gap and Forget do nothing. It has no Store.
	Replica bool
	// Store, if not nil, keeps the log beyond the life of the process. The log closes it.
	Store Store
	// OnState, if not nil, is called when the store has failed, and when it works again. It may be
	// called with the hub locked, so it must be quick and must not call the hub or the log.
	OnState func(State)
}

// State is how the store of a log works.
type State struct {
	// Err is why messages are not kept at present; nil if they are.
	Err error
	// Since is when that began.
	Since time.Time
	// Missed is the number of messages that were not kept for that reason since the log was made.
	Missed uint64
}

// Stats are the size of a log.
type Stats struct {
	Messages   int
	Bytes      int64 // memory of messages, last values and topics
	Topics     int
	LastValues int
	// Oldest and Newest are the times of the first and the last message; zero without messages.
	Oldest, Newest time.Time
	// First is the position of the oldest message that is kept, End that of the next one.
	First, End Position
}

const defaultMaxBytes = 64 << 20

func (o Options) withDefaults() Options {
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultMaxBytes
	}
	return o
}
