// Command zwsbridge connects WebSocket clients to ZeroMQ sockets, with authentication on
// both hops.
//
// Each command has a file of its own: newServe and the other new… functions return cobra
// commands, which newRoot in main.go puts together. Shared by several commands:
//
//   - client.go, the connection of sub, push, req and dealer, and message.go, the text
//     form of messages;
//   - announce.go, what server.announce puts into the local network;
//   - server.go and listen.go, the listeners and the life of the bridge for serve and demo,
//     and memory.go, which returns memory to the operating system;
//   - password.go, which reads passwords and tokens.
//
// Package manual has the pages that help shows; package demo has the houses and the page of `zwsbridge demo`. The commands are tested by
// the scripts in testdata/script.
//
// Exit codes: 0 success, 1 failure, 2 wrong usage or configuration, 3 refused by the peer.
package main
