// Package backend holds the ZeroMQ sockets that the bridge opens for its clients.
//
// [Dial] opens a socket for one client: one ZMTP connection to each of its endpoints, all
// connected at the same time, each with credentials of its own and each reconnected on its
// own. [Listen] opens a socket that native peers dial in to and that all clients of a
// route share; [DialShared] does the same with connections that we make. What a socket
// does with messages is what its type prescribes:
//
//	DEALER, PUSH   round-robin over the ready peers, never to all (28/REQREP, 30/PIPELINE)
//	REQ            the same, one request at a time; only the peer that was asked answers
//	PAIR           one peer, both ways (31/EXPAIR)
//	REP            the answers go to the peers that asked, in the order they asked
//	ROUTER         the first frame is the peer's routing id, both ways
//	PULL           receives only
//	SUB, XSUB      Send takes 01|00+topic; subscriptions are kept and told to every peer,
//	               again after a reconnect (29/PUBSUB)
//	PUB, XPUB      the union of the peers' subscriptions is received as 01|00+topic, and
//	               only peers whose subscriptions match get a message
//
// The frames are those of a direct connection, a REQ's delimiter included. Receives are
// fair-queued: no peer comes twice while another waits, one network read counting as one
// turn.
//
// # What is lost and what is not
//
// A message belongs to a peer once it has been written to its connection, not when it was
// queued. What a lost connection had not been given goes to the others, oldest first. What
// had been written and not been answered is lost with the peer, as with any ZeroMQ socket:
// giving it to another could do twice what was asked for once.
//
// # Shared sockets
//
// Where one DEALER or REQ socket serves several sessions, every request gets one frame in
// front, as behind a ROUTER-DEALER proxy:
//
//	envelope = %x00 8OCTET     ; the session's number, drawn at random
//
// A peer that is a REP echoes it without knowing, since REP returns everything up to and
// with the delimiter. A ROUTER or DEALER application returns what stood before the
// delimiter, as behind any proxy; if it uses no delimiter it has to return the first frame
// in front of the answer. An answer without the number of an attached session is dropped
// and counted, and so is one to a REQ session from a peer that it did not ask.
//
//	PUSH        round-robin over the peers, whichever session sends
//	PULL        each message goes to one session that has room; nothing is read while none has
//	SUB, XSUB   each session gets what its own subscriptions match; the only session gets
//	            everything, so that a fan-out on top can do the matching
//	PUB, XPUB   all sessions publish; each hears the union of the peers' subscriptions
//	ROUTER      a message of a peer goes to the session that last addressed this peer, an
//	            unsolicited one to the session that has been attached longest
//	REP, PAIR   cannot be shared
package backend
