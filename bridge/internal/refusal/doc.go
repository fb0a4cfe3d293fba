// Package refusal records who was not let in and why, so that an operator can answer "why can bob
// not log in": [Recorder.Add] writes one line to the log, of each kind at most one in an interval, and
// keeps the last [Kept] refusals for the operators' interface, which [Recorder.List] returns.
//
// A [Refusal] has no secret. [Claimed] returns the name that credentials claim.
package refusal
