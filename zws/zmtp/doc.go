// Package zmtp speaks ZMTP 3.0 and 3.1, the ZeroMQ Message Transport Protocol
// (23/ZMTP, 37/ZMTP), with the mechanisms NULL, PLAIN (24), CURVE (25, 26) and BEARER.
//
// A [Mechanism] is one state machine for one side of one connection. It knows commands
// and no transport, so the same machine serves a [Conn] over TCP or ipc and, in package
// zws, a WebSocket. A server side asks a zap.Handler about every peer and cannot be made
// without one.
//
// [Dial] and [Listen] give connections whose handshake is done, or an error that says what
// it failed of; there is nothing half-open. Everything that a peer controls is bounded by
// [Limits], and memory is taken for what has arrived, not for what was announced.
package zmtp
