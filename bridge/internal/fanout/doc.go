// Package fanout delivers the messages of one shared upstream to many clients.
//
// A [Hub] is the receiver of a SUB or XSUB socket, and [Hub.Run] keeps that socket subscribed
// to what the members want. Each client joins as a [Member], with its own [Queue], and
// subscribes. A message is matched once, over a prefix trie (29/PUBSUB: a subscription
// matches every topic that begins with it, the empty one all), and encoded once for each
// queue.Codec that a member uses. Members with the same subscriptions form a group: all
// messages of one upstream read that the group wants are one queue.Chunk, of which each
// member's queue gets a reference.
//
// The goroutine that has read the messages writes them to the clients as well, without the hub's
// lock and as far as each client's system takes them at once. Where that is much, others help, or the
// writers of the clients are woken.
//
// The hub never waits for a client: what a full queue does is its policy's decision, which
// must not be queue.Block.
package fanout
