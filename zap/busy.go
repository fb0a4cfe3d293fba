package zap

import (
	"fmt"
	"time"
)

// BusyError is returned by a handler that has more requests than it can decide on in time. It
// counts as status 300, with the error as [Reply.Cause].
type BusyError struct {
	// RetryAfter is when the peer may expect a decision if it tries again, in whole seconds
	// from one second to [MaxRetryAfter].
	RetryAfter time.Duration
}

// MaxRetryAfter is the longest wait that a [BusyError] can advise.
const MaxRetryAfter = 600 * time.Second

// Busy returns a [BusyError] that advises a wait, rounded up to whole seconds and limited to
// [MaxRetryAfter].
func Busy(wait time.Duration) *BusyError {
	seconds := (wait + time.Second - 1).Truncate(time.Second)
	return &BusyError{RetryAfter: min(max(seconds, time.Second), MaxRetryAfter)}
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("too many logins at the same time: retry in %d s", e.RetryAfter/time.Second)
}
