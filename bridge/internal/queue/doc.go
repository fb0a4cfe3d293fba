// Package queue holds what waits to be written to one client.
//
// A [Queue] is bounded. Backends put messages into it, the writer of the client's connection
// takes them with [Queue.Next], and a [Policy] decides what happens when it is full. It
// reports to the client's stream through the [Owner] interface, and gives to a [Batch], so
// that it knows neither WebSocket nor how a client's messages are encoded.
//
// A [Chunk] is a run of messages, encoded once by a [Codec]. It can be in the queues of many
// clients at the same time: each queue holds a reference and a range, so that a slow client
// can lose messages of a chunk that others receive completely. Chunks and the memory of the
// queues come from pools; an empty queue holds neither.
//
// A [Budget] bounds the queues of one connection together. A queue without one, as on most
// connections with a single stream, does nothing for it.
//
// Locks. A queue holds its own while it changes, and takes none of another queue with it.
// Budget.mu is taken before that of a queue: a put that finds the bound reached unlocks its own
// queue before other queues make room. Owner is called without a lock, except Ended.
package queue
