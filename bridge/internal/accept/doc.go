// Package accept limits what clients can hold by connecting, before the bridge knows what they
// want: plain HTTP, TLS handshakes under way, and WebSockets before and after their login.
//
// A [Gate] counts the TCP connections of one listener from accept to close, in all and for
// each address, and refuses those beyond its [Limits]. A few more are accepted in order to
// tell the client why ([Admit]). Idle HTTP connections give way to new ones, and so do those
// without a login of an address that has many.
//
// [Gate.Listener] wraps a listener, below TLS. Its connections are [*Conn], or wrap one where
// the PROXY protocol is read. A client that takes nothing of what is written to it for
// Limits.WriteTimeout is disconnected, unless the program has set a deadline of its own, as
// package zws does. [Gate.Serve] connects the gate with the http.Server on top.
package accept
