// Package zap implements the ZeroMQ Authentication Protocol, 27/ZAP: a server asks a handler
// whether a peer may connect, and only a reply with status 200 lets it in.
//
// The package is independent of transports. Credentials from a ZMTP mechanism, a WebSocket
// command or an HTTP header all become a [Request]. A [Handler] answers it with a [Reply].
// [Decide] turns everything that a handler can do, including an error, a timeout or a panic,
// into a reply that fails closed. [Chain] asks several handlers in order and, with a [Cache],
// reuses their replies; it also reports which logins a change of users or keys has revoked. A
// [Guard] limits how many credentials are judged at the same time.
//
// A reply can carry a [Grant]: what the login may do on each route. Frames and ParseRequest
// convert requests and replies to and from the wire. The authenticators are in the packages
// below this one, one package each.
package zap
