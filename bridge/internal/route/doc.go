// Package route is a [[route]] of the configuration at work: which clients it takes, what
// they may do, and how their streams reach the backends.
//
// [New] reads the configuration once, in config*.go; nothing else in the
// package knows it. A [Route] lives as long as its backends: a reload that leaves them as they
// are replaces only its [Rules]. [Rules.Rights] combines what the route's rules, the ZAP metadata and the
// authenticators grant to a login. [Route.Attach] gives a [Client], which is all that a route
// knows of a stream, a [Socket]: one of its own (dedicated.go), a side of a connection that
// clients share (shared.go, hub.go), or a relay to the backend (relay.go).
package route
