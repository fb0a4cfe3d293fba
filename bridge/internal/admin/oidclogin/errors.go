package oidclogin

import "fmt"

// Reason is why a login came to nothing, for the person who tries.
type Reason string

const (
	// Stale: the login was begun too long ago, in another browser, or not at all.
	Stale Reason = "stale"
	// Declined: the provider has not let the person in, or the person has not agreed.
	Declined Reason = "declined"
	// Unavailable: the provider cannot be reached, or is out of order.
	Unavailable Reason = "unavailable"
	// Failed: the provider's answer cannot be trusted, or it does not trust us.
	Failed Reason = "failed"
)

// maxErrorText is how much is told of an error: providers answer with whole pages.
const maxErrorText = 300

// Error is why a login came to nothing. Its text is for the log: it may hold what the
// provider or the browser has sent, cut short, and no secret.
type Error struct {
	Reason Reason
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %.*s", e.Reason, maxErrorText, e.Err.Error())
}

func (e *Error) Unwrap() error { return e.Err }
