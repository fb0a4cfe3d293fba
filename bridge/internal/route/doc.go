// Package route is a [[route]] of the configuration at work: which clients it takes, what
// they may do, and how their streams reach the backends.
//
// [New] and [Route.Prepare] read the configuration, in config*.go; nothing else in the package
// knows it. A [Route] lives as long as what its sockets are: a reload replaces its [Rules] and, by
// an [Update], how its backends are reached. [Rules.Rights] combines what the route's rules, the ZAP
// metadata and the authenticators grant to a login. [Route.Attach] gives a [Client], which is all
// that a route knows of a stream, a [Socket]: one of its own (dedicated.go), a side of a
// connection that clients share (shared.go, hub.go), or a relay to the backend (relay.go).
package route
