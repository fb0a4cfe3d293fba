// Package bridge connects WebSocket clients to ZeroMQ sockets, with authentication on both
// hops.
//
// A [Bridge] is an http.Handler. [New] makes it from a configuration (package bridge/config).
// The packages below internal do the work:
//
//	route     one [[route]]: its rules, and the sockets that connect streams to backends
//	conn      connections (a WebSocket and its login) and streams (one ZeroMQ socket each)
//	accept    the TCP connections of a listener: their number, and clients that read nothing
//	auth      the ZAP chain of the configuration, limits on refused logins, zap.listen
//	rights    which topics a login can receive and send
//	backend   ZeroMQ sockets towards the backends, with reconnects
//	discover  backends from DNS, the local network or a watched file
//	fanout    one upstream subscription for many clients
//	queue     the messages that wait to be written to one client
//	history   what a route keeps: its log, last values and permanent queues
//	quota     the bytes of subscriptions that each user has
//	admin     the operators' HTTP interface and page
//	metrics   counters for Prometheus and for the operators
//
// # The way of a client
//
//	ServeHTTP         locates the client, finds the route, admits the connection
//	zws.Accept        negotiates the dialect and authenticates: a ZAP reply of 200 gives a
//	                  pending login
//	conn.Set.Serve    sets up rights, the queue and the socket towards the backends, then
//	                  accepts the login, which sends READY, or rejects it
//
// READY follows the backends (key ready of a route), so that a backend that refuses the login
// is reported in the answer to the client's own handshake.
//
// # The way of a message
//
// To a client: zmtp.Conn reads it. The backend socket passes it to the stream or to the
// route's hub (fanout), which matches it once and encodes it once for each dialect. It waits in
// the queue of each stream as a reference to the same bytes. The connection's writer takes all
// that waits and writes it with one system call.
//
// On a route with a history, the hub appends the message to the route's log before it delivers
// it. A client that resumes, asks for last values or has fallen behind with on_full = "replay" is not
// sent to by the hub at first: the connection's writer pulls from the log, a bounded step at a
// time, up to the place where the hub has made it a member.
//
// From a client: the connection's reader passes it to the stream, which checks the rights and
// forwards it to its backend socket.
//
// To another process, a program hands a bridge over by [Bridge.Listeners], [Bridge.Release] and [Bridge.HandOver].
//
// # Goroutines and locks
//
// At most one goroutine reads a connection and one writes it; an idle one has neither where
// there is a zws.Poller. A channel of a multiplexed connection has a goroutine while it is opened
// and while messages of the client wait on it. A backend connection has a reader, except that of one
// client's own while it is idle, and a writer while messages wait to be written. A hub has a
// goroutine that updates the upstream subscriptions.
//
// Bridge.reloading is held during Reload and Close and never while serving a client. The
// configuration in force, with everything built from it, is an atomic pointer (type state).
//
// The packages document their own locks: conn (stream.deciding is taken before stream.mu),
// fanout (one lock for each hub, held while it fills queues; no queue calls back into the hub;
// the lock of the hub is taken before that of a queue, and before that of the route's log)
// and queue (calls its callbacks without holding its lock, except Ended; never takes the lock of
// one queue with that of another held). Methods that require a lock are marked "Lock held on
// entry".
package bridge
