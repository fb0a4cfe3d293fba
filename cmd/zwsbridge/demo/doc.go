// Package demo has the parts of `zwsbridge demo`: simulated houses that speak ZeroMQ, and a
// web page for their residents.
//
// A [House] has two ZeroMQ sockets: a PUB for its readings and a REP for commands. It knows
// nothing about WebSocket, users or the bridge. A [Home] is the directory with the keys and
// passwords of the demo; [Home.NewHouse] creates a house that speaks CURVE, and
// [Home.WriteConfig] writes the configuration of a bridge in front of the houses. [Page]
// serves the web page.
package demo
