package queue

import (
	"sync"
	"sync/atomic"
)

// This file has the parts of a queue that most queues do not need most of the time: an idle client
// keeps little memory.

// settings are the Options of a queue in a form that takes less memory.
type settings struct {
	*limits
	Codec  Codec
	Budget *Budget
}

// limits are those of the Options. They are shared by queues and immutable.
type limits struct {
	Messages      int
	Bytes         int64
	Notifications int
	OnFull        Policy
	KeptBytes     int64
}

// latest are the limits that were used last: as a rule they are those of the next queue, too.
var latest atomic.Pointer[limits]

// limits returns the limits of o.
func (o *Options) limits() *limits {
	l := limits{o.Messages, o.Bytes, o.Notifications, o.OnFull, o.KeptBytes}
	if known := latest.Load(); known != nil && *known == l {
		return known
	}
	latest.Store(&l)
	return &l
}

// logged is what a queue has of the history that it falls back on.
type logged struct {
	backlog Backlog
	given   []byte // position of the last message given to a batch
	skipped uint64 // messages with a position that were not put since it has fallen behind
	missing []byte // position of the first message that was not put since then; empty if none
}

// logged returns q.log. Lock held on entry.
func (q *Queue) logged() *logged {
	if q.log == nil {
		q.log = new(logged)
	}
	return q.log
}

// writing is what the writer is writing.
type writing struct {
	current item   // taken, and not yet given to a batch completely
	written fifo   // given to the batch that is being written
	pulling Puller // that is not done yet
}

var writings = sync.Pool{New: func() any { return new(writing) }}

func (w *writing) idle() bool {
	return w.current.chunk == nil && w.written.empty() && w.pulling == nil
}
