// Package zmq4transport lets any go-zeromq/zmq4 socket, dialling or listening, speak CURVE,
// and PLAIN whose passwords are checked. zmq4 cannot do this as a zmq4.Security, because it
// writes the length of a frame before it encrypts the body; a transport sees the whole.
//
// Register one set of credentials under a name of your choice and use that name as the
// scheme of endpoints:
//
//	zmq4transport.Register("curve", zmq4transport.Options{Client: zmtp.Curve{…}})
//	sub := zmq4.NewSub(ctx, zmq4.WithDialerMaxRetries(0))
//	err := sub.Dial("curve://192.0.2.7:5556")
//
// Towards zmq4 a connection is one of ZMTP 3.0 with NULL; towards the network it is what
// package zmtp makes of it. The peer's metadata is checked and PING is answered on the
// way, frames and messages are bounded, and a peer that stalls in its handshake keeps no
// other out, none of which zmq4 does by itself.
//
// # Errors of Dial
//
// zmq4's Dial returns the errors of [zmtp.Dial], for errors.Is and errors.As to find:
// zmtp.ErrUnreachable, *zmtp.RefusedError, zmtp.ErrClosedBeforeWelcome for a wrong server
// key, *zmtp.MechanismError, *zmtp.SocketTypeError and so on. By default it tries ten times
// before, also when it was refused; zmq4.WithDialerMaxRetries(0) makes it say so at once.
//
// # What stays as zmq4 has it
//
// A DEALER and a PUSH send to all their peers, Send after a peer is lost returns nil, Recv
// returns io.EOF once for each peer that is lost, and only one endpoint is reconnected.
package zmq4transport
