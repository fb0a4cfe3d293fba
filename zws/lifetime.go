package zws

import (
	"context"
	"sync/atomic"
	"time"
)

// lifetime is the context.Context of a connection or channel, which ends with a cause. Most of them end
// without anybody having waited for it, so it becomes a context of package context only when it is used
// as one. The zero value has not ended.
type lifetime struct {
	cause atomic.Pointer[CloseError]   // nil before the end
	used  atomic.Pointer[usedLifetime] // nil before the first use
}

type usedLifetime struct {
	context.Context
	cancel context.CancelCauseFunc
}

// end reports whether the lifetime had not ended yet. The first cause counts.
func (l *lifetime) end(cause *CloseError) bool {
	first := l.cause.CompareAndSwap(nil, cause)
	l.follow()
	return first
}

// follow ends the context that is used if the lifetime has ended.
func (l *lifetime) follow() {
	if used, cause := l.used.Load(), l.cause.Load(); used != nil && cause != nil {
		used.cancel(cause)
	}
}

// over reports whether the lifetime has ended.
func (l *lifetime) over() bool { return l.cause.Load() != nil }

func (l *lifetime) use() context.Context {
	if used := l.used.Load(); used != nil {
		return used
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	l.used.CompareAndSwap(nil, &usedLifetime{ctx, cancel})
	l.follow() // end may have come first
	return l.used.Load()
}

// Deadline implements context.Context: there is none.
func (l *lifetime) Deadline() (deadline time.Time, ok bool) { return }

// Done implements context.Context.
func (l *lifetime) Done() <-chan struct{} { return l.use().Done() }

// Err implements context.Context.
func (l *lifetime) Err() error {
	if !l.over() {
		return nil
	}
	return l.use().Err()
}

// Value implements context.Context. Package context finds its own part of a context, with the cause, by it.
func (l *lifetime) Value(key any) any { return l.use().Value(key) }
