// Package zws speaks ZeroMQ over WebSocket: the server side of every dialect in use, and
// a client for ZWS 2.0 and ZWSMUX1.0.
//
// # Server
//
// [Accept] upgrades an HTTP request, has the ZAP handler of [Options] judge the login, and
// returns a [PendingConn]: the client waits for READY. The caller opens what the client
// came for, then calls its Accept, which sends READY and returns a [Conn], or its Reject,
// which sends the reason instead and closes. Only a 200 from the ZAP handler lets anyone
// in, whatever carried the credentials: a mechanism of the subprotocol (NULL, PLAIN,
// BEARER, CURVE) or, for clients without one, the HTTP request.
//
// A Conn is one WebSocket and the login on it. A [Channel] is one socket on it: the caller
// reads it with [Channel.ReadMessage] or [Channel.Serve], and the connection writes what
// its [Source] holds. A plain ZWS connection has one channel, [Conn.Channel]; a client of
// ZWSMUX1.0 opens any number, which [Conn.NextChannel] returns as [PendingChannel].
//
// At most one goroutine reads a connection: the one that calls ReadMessage or NextChannel; with
// Serve or [Conn.ServeChannels] and a [Poller], none while the client is idle. At most one writes it: the
// connection starts a writer when something is queued, which asks the source, puts
// everything into one write, and ends when nothing is left. Callers without a Source use
// [Channel.Send].
//
// # History
//
// A client can ask for the positions of messages, resume at one, get last values and name a
// queue (PROTOCOL.md, "History"). Login says what it asks for, AcceptOptions.Request gets its
// requests, and a Source answers by [Batch.Replayed], [Batch.Resumed] and [Batch.Live]; keeping
// messages is the caller's part. [Batch.Confirm] finds out what other clients have got.
//
// # Client
//
// [Dial] returns a [Client], one socket on one connection; [DialMux] a [MuxClient], one login
// for any number of [MuxChannel], and of [MuxRelay] to the backends of relays. All three are
// a [Socket]. None of them reconnects.
//
// # Dialects
//
// ZWS2.0 (45/ZWS) bare and with a mechanism (ZWS2.0/NULL, ZWS2.0/PLAIN, ZWS2.0/CURVE,
// ZWS2.0/BEARER, and the same with "+" instead of "/", because a browser cannot offer "/"),
// ZWS1.0 (39/ZWS), WSNetMQ (JSMQ, NetMQ.WebSockets), webtalk's form of ZWS1.0; and, as
// PROTOCOL.md defines them beside BEARER, ZWSJSON1.0 for pages without a library and
// ZWSMUX1.0, many channels on one connection.
//
// # Errors
//
// What ends a connection or channel is a [CloseError]: a close code, a reason that a person
// can act on, and whether an ERROR command goes before it. Rules that refuse something return
// one; Close and Reject, which keep the first cause, turn any other error into one by [Cause].
package zws
