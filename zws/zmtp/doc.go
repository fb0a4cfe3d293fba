// Package zmtp implements ZMTP 3.0 and 3.1, the ZeroMQ Message Transport Protocol, with the
// mechanisms NULL, PLAIN, CURVE and BEARER. With Options.ZMTP2 it also takes ZMTP 2.0 peers.
//
// [Dial], [Client], [Listen] and [Server] run a handshake and return a [Conn] that is
// authenticated, or an error that says what failed. Conn.ReadFrame and Conn.Write then move
// messages; a [Subscription] is built and parsed here. [DialRaw] exchanges greetings only, for
// a relay that leaves the handshake to somebody else.
//
// A [Mechanism] is one side of a handshake as a state machine over commands. It knows no
// transport: Conn runs it over TCP and ipc, package zws over WebSocket. The server side of
// every mechanism asks a zap.Handler about the peer and cannot be made without one.
//
// [Limits] bound what a peer can send. Memory is allocated for what has arrived, not for what
// a header announces.
//
// # Files
//
// Each file follows one part of one specification:
//
//	greeting.go                 23/ZMTP, 37/ZMTP: greeting, version and mechanism
//	zmtp2.go                    15/ZMTP: the greeting of ZMTP 2.0
//	frame.go, reader.go         37/ZMTP: framing
//	command.go                  23/ZMTP: commands and ERROR
//	null.go                     23/ZMTP: NULL
//	plain.go                    24/ZMTP-PLAIN
//	bearer.go                   BEARER, which 45/ZWS names and leaves open
//	curve*.go                   25/ZMTP-CURVE, 26/CURVEZMQ
//	metadata.go, sockettype.go  23/ZMTP: the metadata of READY and INITIATE
//	subscription.go             29/PUBSUB, 37/ZMTP: SUBSCRIBE and CANCEL
//	heartbeat.go                37/ZMTP: PING and PONG
//
// Every mechanism has one state machine for each side, nullClient, nullServer and so on: a
// list of steps (handshake.go), with the questions to the ZAP handler in server.go. BEARER
// shares those of PLAIN. conn_handshake.go runs a state machine over a connection.
package zmtp
