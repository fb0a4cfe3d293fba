// Package zws speaks ZeroMQ over WebSocket: the server side of every dialect in use, and
// a client for ZWS 2.0.
//
// # Server
//
// [Accept] takes an HTTP request, upgrades it, logs the client in and returns a
// [Session], or an error after the client was told why. Only a 200 from the ZAP handler
// of [Options] lets anyone in, whatever carried the credentials: a mechanism of the
// subprotocol (NULL, PLAIN, BEARER, CURVE) or, for clients without one, the HTTP request.
// The client hears READY only after [Options].Open has returned, so that a login that
// fails further behind can still be told in READY's place.
//
// A session is a login on one WebSocket. A [Channel] is one socket on it: it is read with
// [Channel.ReadMessage] or [Channel.Serve] and writes what its [Source] holds. A plain ZWS
// connection is a session with one channel; a client of ZWSMUX1.0 opens any number, which
// [Options].ServeChannel serves.
//
// At most one goroutine reads a session: whoever calls ReadMessage; with Serve and a
// [Poller] none while the client is idle. At most one writes it: the session starts a
// writer when something is queued, which asks the source, puts everything into one write,
// and ends when nothing is left.
//
// # Dialects
//
// ZWS2.0 (45/ZWS) bare and with a mechanism (ZWS2.0/NULL, ZWS2.0/PLAIN, ZWS2.0/CURVE,
// ZWS2.0/BEARER, and the same with "+" for "/", because a browser cannot offer "/"),
// ZWS1.0 (39/ZWS), WSNetMQ (JSMQ, NetMQ.WebSockets), webtalk's form of ZWS1.0; and, as
// PROTOCOL.md defines them beside BEARER, ZWSJSON1.0 for pages without a library and
// ZWSMUX1.0, many channels on one connection.
//
// # Errors
//
// Whatever ends a session becomes a [CloseError] in one place, [Cause]: a close code, a
// reason that a person can act on, and whether an ERROR command goes before it.
package zws
