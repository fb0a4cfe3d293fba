// Package natsstore shares the history of a route between bridges, on NATS servers with JetStream.
//
// A [Share] is one bridge's part in it. A stream has the route's records, in batches as
// history.Builder makes them; every bridge, also the one that writes, delivers what it reads from
// the stream, so that positions are the same on all. One bridge at a time writes: the leader, which
// holds a lease, a key of a key-value bucket that it renews ([Options.Lease]). The lease only
// decides who tries. What keeps an earlier leader from writing is that each message of the stream
// names the sequence of the one before: a new leader begins with a start record, after which no
// message of another writer is accepted.
//
// The leader gives what its backends publish to [Share.Append] and [Share.Flush], and the states of
// its backends to [Share.SetStates]; they travel with the lease, so that all bridges know them
// ([Share.Leader]). While NATS is away, the leader keeps a bounded number of bytes and writes them
// later; what is beyond is lost, and records say so: of which topics, and that there is a gap.
//
// The package knows neither clients nor backends.
package natsstore
