// Package queue holds what waits to be written to one client: a bounded queue of encoded
// messages, filled by backends and emptied by the one writer of a session.
//
// A [Chunk] is a run of encoded messages. It is encoded once and may stand in the queues
// of many clients at the same time; each queue holds a reference and a range, so that a
// slow client can lose messages of a chunk that others receive whole. Chunks and the
// memory of the queues themselves come from pools: a queue in which nothing waits holds
// neither.
package queue
