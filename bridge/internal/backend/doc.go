// Package backend holds the ZeroMQ sockets that the bridge opens for its clients.
//
// [Dial] opens a [Socket] for one stream: one ZMTP connection to each of its endpoints, all
// connected at the same time, each with its own credentials and reconnected separately.
// [Listen] opens a [Shared] socket to which native peers connect and which serves all streams
// of a route; [DialShared] does the same with outgoing connections. [DialRelay] connects to a
// backend where the client itself logs in. What a socket receives goes to a [Receiver]; what
// happens to its connections is its [Status], and an [Error] says why one failed.
//
// What a socket does with messages is prescribed by its type:
//
//	DEALER, PUSH   round-robin over the ready peers, never to all (28/REQREP, 30/PIPELINE)
//	REQ            the same, one request at a time; only the peer that has it may answer
//	PAIR           one peer, both directions (31/EXPAIR)
//	REP            answers go to the peers that asked, in the order of their requests
//	ROUTER         the first frame is the peer's routing id, in both directions
//	PULL           receives only
//	SUB, XSUB      subscriptions are kept and sent to every peer, again after a reconnect
//	               (29/PUBSUB)
//	PUB, XPUB      the union of the peers' subscriptions is received, as messages, and only
//	               peers with a matching subscription get a message
//
// The frames are those of a direct connection, including a REQ's delimiter. Receiving is
// fair-queued: no peer has two turns while another one waits. A turn is what one network read
// brings.
//
// # What is lost and what is not
//
// A message belongs to a peer once it has been written to its connection, not when it was
// queued. What had not been written to a lost connection goes to the other peers, oldest
// first. What had been written and not been answered is lost with the peer, as with any ZeroMQ
// socket: giving it to another one could do twice what was requested once.
//
// # Shared sockets
//
// If a DEALER or REQ socket serves several streams, each request gets one frame in front, as
// behind a ROUTER-DEALER proxy:
//
//	envelope = %x00 8OCTET     ; the stream's number, random
//
// A REP peer returns it without knowing, since REP returns everything up to and including the
// delimiter. A ROUTER or DEALER application returns what is before the delimiter, as behind any
// proxy; if it uses no delimiter it has to put the first frame before its answer. An answer
// without the number of an attached stream is dropped and counted, and so is one to a REQ
// stream from a peer that does not have its request.
//
//	PUSH        round-robin over the peers, whichever stream sends
//	PULL        each message goes to one stream that has room; nothing is read while none has
//	SUB, XSUB   serve one stream, which gets everything: a fan-out on top does the matching
//	PUB, XPUB   all streams publish; each receives the union of the peers' subscriptions
//	ROUTER      a message of a peer goes to the stream that sent to this peer last, or else to
//	            the stream that has been attached longest
//	REP, PAIR   cannot be shared
package backend
