// Package bridge connects WebSocket clients with ZeroMQ sockets, with authentication on both
// hops.
//
// A [Bridge] is an http.Handler, made by [New] of a configuration (package bridge/config).
// The packages below internal do the work:
//
//	route     a [[route]]: who may do what there, and how streams get their backend socket
//	conn      connections (a WebSocket and its login) and streams (a ZeroMQ socket each)
//	auth      the ZAP chain of the configuration, limits on refused logins, zap.listen
//	rights    which topics a login may receive and send
//	backend   ZeroMQ sockets towards the backends, with reconnects
//	fanout    one upstream subscription for many clients
//	queue     what waits to be written to one client
//	admin     the operators' HTTP interface and page
//	metrics   counters for Prometheus and for the operators
//
// # The way of a client
//
//	ServeHTTP         locate the client, find the route, admit the connection
//	zws.Accept        choose the dialect, authenticate: a ZAP request and a reply of 200
//	conn.Set.Serve    rights, queue, and the socket towards the backends; then READY
//
// READY follows the backends (`ready`), so that a login that a backend refuses is the answer
// to the very handshake that asked for it.
//
// # The way of a message
//
// To a client: zmtp.Conn receives it; the backend socket hands it to the stream, or to the
// hub of its route (fanout), which matches once and encodes once for each dialect; it waits
// in the queue of each stream, as a reference to the same bytes; the connection's writer
// takes what has come together and writes it in one system call.
//
// From a client: the connection's reader hands it to the stream, which checks rights and
// forwards it to its backend socket.
//
// # Goroutines and locks
//
// At most one goroutine reads a connection and one writes it; an idle plain connection has
// neither (zws.Poller). A stream on a multiplexed connection has one that reads its channel.
// A backend connection has a reader and a writer. A hub has one goroutine that keeps the
// upstream subscriptions.
//
// Bridge.reloading is held during Reload and Close, and nothing that a client does takes it.
// The present state is an atomic pointer. The order in which other locks may be taken is
// told by the packages that have them: conn (deciding before mu), fanout (one lock for each
// hub; it fills queues while holding it, and no queue calls back), queue (its callbacks come
// without its lock, except for Ended). Methods that need a lock say "Lock held on entry".
package bridge
