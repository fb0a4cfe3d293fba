package oidclogin

import "fmt"

// Reason is the reason for a failed login, for the person who logs in.
type Reason string

const (
	// Stale means that the login was begun too long ago, in another browser, or not at all.
	Stale Reason = "stale"
	// Declined means that the provider refused the login or the person canceled it.
	Declined Reason = "declined"
	// Unavailable means that the provider cannot be reached or does not work.
	Unavailable Reason = "unavailable"
	// Failed means that the provider's response is invalid or that it rejects this client.
	Failed Reason = "failed"
)

// maxErrorText limits an error's text in characters: providers answer with whole pages.
const maxErrorText = 300

// Error is a failed login. Its text is for the log: it may contain what the provider or the
// browser sent, shortened, but no secrets.
type Error struct {
	Reason Reason
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %.*s", e.Reason, maxErrorText, e.Err.Error())
}

func (e *Error) Unwrap() error { return e.Err }
