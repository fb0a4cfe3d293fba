// Package adminclient asks the operators' interface of a bridge.
//
// [New] makes a [Client] of the address of admin.listen, or of the socket of admin.socket, and of
// a login. Its methods are what the commands status, sessions, kick, reload and health ask for.
// An answer that is not a success is an [Error], with the bridge's own text.
package adminclient
