// Package history keeps what a route's backends have published, so that clients can be given
// what they missed.
//
// A [Log] is the history of one route, in memory and bounded by bytes and age: every message of
// the configured topics in the order of delivery, and the last value of each topic, which can
// outlive its place in the log. The hub calls [Log.Append] for each message, [Log.Gap] where
// messages may be missing, and [Log.Flush] before it delivers what one read has brought. With a
// [Store] the log is also written to disk ([filestore]) and is complete again after a restart.
//
// A [Position] is a place between two messages. A client that was away resumes at one:
// [Log.Resume] returns a [Reader] of what follows and reports whether all of it is still kept, and
// [Log.Last] a [Snapshot] of last values. Both are pulled, a bounded step at a time, by the
// goroutine that writes to the client, and hold no lock that Append waits for while they read.
//
// The seam between what is kept and what comes live: lock the hub, deliver what waits, take
// [Log.End], join, unlock; then read up to that end. The rest comes live.
//
// The package knows neither WebSocket nor configuration.
//
// [filestore]: https://pkg.go.dev/github.com/zwsbridge/zwsbridge/bridge/internal/history/filestore
package history
