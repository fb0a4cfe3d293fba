// Package conn has the two things that a WebSocket client is to the bridge: a connection,
// which is one WebSocket and the login on it, and its streams, each of which is one ZeroMQ
// socket on a route. A plain ZWS connection has one stream, one of ZWSMUX1.0 has many.
//
// [Set.Serve] takes a request through the login to the first message. A connection (type
// connection) owns what belongs to a login: its expiry, its renewal, and how a reload or a
// change of the users ends it. A stream (type stream) owns what belongs to a socket: rights,
// subscriptions, the queue towards the client and the socket towards the backends.
//
// Goroutines. The reader of a connection calls stream.forward; an idle connection has
// none, nor have its channels. A backend, or the route's hub, calls stream.Message and stream.Flush or fills
// the queue. The connection's writer calls stream.Next. Timers call connection.end.
//
// What ends a stream or connection calls end, which never blocks: it keeps the first cause,
// also before READY, and passes it to zws.Conn.Close or zws.Channel.Close, which turn it into
// a close code by zws.Cause. Rules that refuse something say so by a *zws.CloseError where
// they are checked; closecause.go chooses the codes for what happens to backends.
//
// The streams of a multiplexed connection share a queue.Budget (connection.bound). While a backend
// waits for room in it, a timer watches the fullest stream, and ends it if its client takes
// nothing.
//
// drain.go ends connections for another process: it gives each a turn, by how long its login takes to judge
// (Options.Cost), and ends it then. What cannot wait, because its route is the other's already, ends at once, with
// its turn as the advice when to come back.
//
// Locks. stream.deciding is held while rights or subscriptions change, which may ask an
// authenticator; stream.mu, connection.mu and the queue's are held for memory only, and none
// is taken while holding another, except that stream.deciding comes before stream.mu. bound.mu is
// held for memory only, and not while the streams are looked at.
package conn
