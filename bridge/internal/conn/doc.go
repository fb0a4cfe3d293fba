// Package conn has the two things that a WebSocket client is to the bridge: a connection,
// which is one WebSocket and the login on it, and its streams, each of which is one ZeroMQ
// socket on a route. A plain ZWS connection has one stream, one of ZWSMUX1.0 has many.
//
// [Set.Serve] takes a request through the login to the first message. A connection (type
// connection) owns what belongs to a login: its expiry, its renewal, and how a reload or a
// change of the users ends it. A stream (type stream) owns what belongs to a socket: rights,
// subscriptions, the queue towards the client and the socket towards the backends.
//
// Goroutines. The reader of a connection calls stream.forward; an idle plain connection has
// no reader. A backend, or the route's hub, calls stream.Message and stream.Flush or fills
// the queue. The connection's writer calls stream.Next. Timers call connection.end. Every
// one of them ends a stream by end, which never blocks; the first cause becomes the close
// code, in closecause.go.
//
// Locks. stream.deciding is held while rights or subscriptions change, which may ask an
// authenticator; stream.mu, connection.mu and the queue's are held for memory only, and none
// is taken while holding another, except that stream.deciding comes before stream.mu.
package conn
