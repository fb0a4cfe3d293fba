// Package load starts a server in a process of its own, connects WebSocket clients to it,
// and measures what it costs to serve them: on loopback, with the same clients and the same
// backpressure for every server.
//
// A [Peer] describes a server: how to start it, how a client connects, and where the
// publisher connects. [Run] measures fan-out from one publisher to many clients, [RoundTrips]
// measures requests that an echo answers, and [Idle] the memory of clients that wait. A
// [Historian] is a peer that keeps messages; [Storm], [LastValues] and [OneTopic] measure clients
// that ask for them. [Return] measures clients that lose their server, which [Reconnect] runs. The
// program under test is always driven over the network, never linked in, so that binaries of
// different commits can be compared.
//
// The package knows zwsbridge ([Bridge]) and libzmq ([LibzmqProxy], [LibzmqPublisher]). It
// needs Linux: clients are read by epoll, and processor time comes from the kernel's clock of
// a process.
package load
