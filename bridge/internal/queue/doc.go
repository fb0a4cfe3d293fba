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
package queue
