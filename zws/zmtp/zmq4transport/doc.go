// Package zmq4transport is a transport for sockets of go-zeromq/zmq4, with which they can use
// CURVE, and PLAIN with passwords that are checked, to dial and to listen. A zmq4.Security
// cannot do this, because zmq4 writes the length of a frame before it encrypts the body; a
// transport handles whole frames.
//
// [Register] adds one set of credentials under a name, which is then the scheme of endpoints:
//
//	zmq4transport.Register("curve", zmq4transport.Options{Client: zmtp.Curve{…}})
//	sub := zmq4.NewSub(ctx, zmq4.WithDialerMaxRetries(0))
//	err := sub.Dial("curve://192.0.2.7:5556")
//
// To zmq4 a connection looks like one of ZMTP 3.0 with NULL. On the network it is a
// [zmtp.Conn], which adds what zmq4 lacks: it checks the peer's metadata, answers PING and
// limits frames and messages, and a peer that stalls in its handshake does not keep others
// out.
//
// # Errors of Dial
//
// The error of zmq4's Dial wraps that of [zmtp.Dial]: zmtp.ErrUnreachable,
// *zmtp.RefusedError, zmtp.ErrClosedBeforeWelcome for a wrong server key,
// *zmtp.MechanismError, *zmtp.SocketTypeError (a listener of this repository names its type; a
// libzmq peer just closes the connection) and so on. By default zmq4 retries ten times,
// even if it was refused; zmq4.WithDialerMaxRetries(0) makes it return at once.
//
// # Limitations of zmq4 that remain
//
// A DEALER and a PUSH send to all their peers, Send returns nil after a peer is lost, Recv
// returns io.EOF once for each peer that is lost, and only one endpoint is reconnected.
package zmq4transport
