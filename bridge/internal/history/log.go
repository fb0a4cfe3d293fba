package history

import (
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Options configure a log. All but Store and OnState can be changed by Update.
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

// Log keeps the messages of one route. Append, Gap and Flush are called by one goroutine at a
// time (with the hub locked), all other methods by any.
type Log struct{}

// New returns the log of that store, or an empty one in memory. The caller ends it with Close.
func New(o Options) (*Log, error) { return &Log{}, nil }

// Append keeps m, which is copied, and returns the position after it. A message that is not kept
// does not move the position.
func (l *Log) Append(m zmtp.Message) Position { return Position{} }

// Gap records that messages may be missing here.
func (l *Log) Gap(reason string) {}

// Flush ends what one read of the upstream has brought. With a store it is written now.
func (l *Log) Flush() error { return nil }

// End returns the position of the next message.
func (l *Log) End() Position { return Position{} }

// Resumed is what a client that resumes has to know.
type Resumed struct {
	// Recovered reports that nothing that matches is missing since the position.
	Recovered bool
	// Gap reports that the upstream was interrupted since the position.
	Gap bool
}

// Resume returns a reader of what matches and follows at. If it is not kept completely, the reader
// begins with the oldest of what is.
func (l *Log) Resume(at Position, match *Match) (*Reader, Resumed) { return &Reader{}, Resumed{} }

// Last returns the last values that match, of topics without a message at or after cut.
func (l *Log) Last(match *Match, cut Position) *Snapshot { return &Snapshot{} }

// Update applies other bounds and topics to the live log.
func (l *Log) Update(o Options) {}

// Forget removes the last value of topic, and its messages from what is read from now on. It
// reports whether there were any.
func (l *Log) Forget(topic []byte) bool { return false }

// Stats returns the size of the log.
func (l *Log) Stats() Stats { return Stats{} }

// State returns how the store works.
func (l *Log) State() State { return State{} }

// Close closes the log and its store. Readers see the end of the log.
func (l *Log) Close() error { return nil }
