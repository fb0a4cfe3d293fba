// Package zap speaks the ZeroMQ Authentication Protocol, 27/ZAP: a server asks a
// handler whether a peer may come in, and only a reply with status 200 lets it in.
//
// The package is the core of the bridge and knows no transport. Whatever carried the
// credentials, a ZMTP mechanism, a WebSocket command or an HTTP header, they become a
// [Request]; a [Handler] answers with a [Reply]; [Decide] is the one gate that turns
// whatever a handler did, an error, a timeout or a panic included, into a reply that
// fails closed. [Chain] asks several handlers in order. Authenticators live in packages
// of their own below this one.
package zap
