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
//	REQ            the same; only the peer that has the newest request may answer it
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
// # Never given up
//
// An endpoint is tried again for as long as its socket is open, whatever has happened to it.
// What happened decides what a client that has just come is told, and how long the wait is:
//
//	the peer                                            [Kind]           tried again after
//	--------------------------------------------------  ---------------  ------------------
//	cannot be connected to; closes before its greeting  KindUnreachable  Backoff, growing
//	is complete; in NULL and PLAIN closes without       (4503)           to MaxBackoff
//	ERROR, which is also ZAP status 300
//	is silent                                           KindTimeout      the same
//	sends ERROR; has another mechanism or socket type;  KindRefused      1 s, growing to
//	does not speak ZMTP 3; in CURVE closes after HELLO  (4502)           a minute
//
// Forwarders (docker-proxy, ssh -L, stunnel, Kubernetes services) accept and close while the
// backend is away, so a close proves nothing unless CURVE leaves no other way to refuse a key.
// Dial and [Visit.Wait] tell what the attempt has brought that they wait for. Streams that are
// at work do not end: their backend is away until it is back. A newcomer on a shared socket has
// its endpoints tried at once, and while it has no client those that refused are left alone. A
// newcomer with a socket of its own hurries the others of its [Group] once it is connected.
//
// A [Relay] ends with its connection, and a close after the greeting is a refusal there: it
// cannot repeat a login that it cannot read.
//
// # Shared sockets
//
// A shared socket decides which client hears which peer, by three rules: an answer reaches its
// asker or nobody; a message reaches only clients whose rights allow it; nothing that a client
// may have is dropped without being counted in [Stats]. In the table, bind is a socket of
// [Listen], share one of [DialShared]; without either each stream has a socket of its own
// ([Dial], connect), which receives everything and is the only one to send. What its client may
// not have is dropped by the [Receiver].
//
//	type         a peer's message goes to            a stream's message goes to   the asker has left
//	-----------  ----------------------------------  ---------------------------  ------------------
//	connect:
//	DEALER PUSH  the stream (PUSH: dropped)          the peers in turn            the connections
//	REQ          the stream, from the peer asked     the peers in turn            end with it; an
//	PAIR         the stream                          the peer                     answer that comes
//	REP          the stream, requests in order       the peer whose turn it is    meanwhile is
//	ROUTER       the stream, behind the routing id   the peer it names            lost with them
//	PULL         the stream                          -
//	SUB XSUB     the stream                          XSUB: all peers
//	PUB XPUB     subscriptions, XPUB: and messages   peers that are subscribed
//
//	bind and share:
//	DEALER       the stream whose envelope for this  the peers in turn            dropped
//	             peer it has; without: dropped
//	REQ          the same, if it is the peer that    the peers in turn, the       dropped
//	             has the stream's request            newest request counts
//	ROUTER       in a stream's turn: that stream;    the peer it names, in its    dropped; the turn
//	             else every stream that may address  stream's turn                ends with the
//	             the peer                                                         answer or in time
//	  Envelope   the stream whose envelope for this  the peer it names, at once   dropped
//	             peer it has; without: as above
//	PULL         one stream that may have it, the    -                            the next stream
//	             longest idle one                                                 that may have it
//	PUSH         dropped                             the peers in turn            it stays queued
//	SUB XSUB     the one stream, a fan-out that      XSUB: all peers              -
//	             matches and filters
//	PUB XPUB     every stream                        peers that are subscribed    -
//	REP PAIR     cannot be shared: an answer must be to the last request, and a pair is two
//
// While no stream may have a message of a ROUTER's or XPUB's peer or a job, it waits until one
// is attached or re-evaluated ([Socket].Recheck), up to the high-water mark. Beyond it the
// oldest message of the peer is dropped (ROUTER, XPUB), or the peer is not read (PULL).
//
// # Envelopes
//
// On a shared DEALER or REQ, and on a ROUTER with [ListenOptions].Envelope, each message to a
// peer gets one frame in front, as behind a ROUTER-DEALER proxy:
//
//	envelope = %x00 8OCTET     ; random, one for each stream and peer
//
// A REP peer returns it without knowing, since REP returns everything up to and including the
// delimiter. A ROUTER or DEALER application returns what is before the delimiter, as behind any
// proxy; if it uses no delimiter it has to put the first frame before its answer.
//
// # Requests
//
// A REQ's request may have an envelope of the client's own before the delimiter (libzmq's
// REQ_CORRELATE), which comes back with the reply. A client that sends another request before the
// reply came (REQ_RELAXED) replaces the first one: it is withdrawn if it was not written yet, and
// otherwise its reply is dropped. To tell the two replies of one peer apart, a shared socket uses
// a new envelope, and a socket of one stream puts such a frame in front from the second request
// until the late reply has come, unless the client's own envelopes differ. An empty message is
// the probe of a socket with PROBE_ROUTER: DEALER passes it on, ROUTER to the streams that may
// address its peer, and elsewhere it is dropped.
//
// # Turns
//
// Without envelopes a ROUTER's peers see no additional frame, and a peer serves one stream at
// a time. A stream's turn begins with all that it has waiting, and takes what it sends
// meanwhile unless another stream waits. It ends when each message was answered by one message,
// or when the peer has sent nothing for [ListenOptions].TurnTimeout since the last message
// either way. So an answer that comes later than that, or a second answer, is taken for a
// message that nobody has asked for, or for an answer in the next turn: controllers that need
// more time or send on their own meanwhile need Envelope.
//
// # Inbound peers
//
// A peer claims only a routing id that it owns ([ListenOptions].OwnsID). One of the same ZAP
// user takes it over from its older connection, which is closed first; a peer with a user takes
// it over from a peer without one; otherwise an id in use is ignored and another one generated.
// ListenOptions.Rights limits what a peer may send and subscribe to, and MaxSubscriptionBytes
// how much.
package backend
