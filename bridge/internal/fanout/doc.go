// Package fanout hands the messages of one shared upstream to many clients.
//
// A [Hub] is subscribed upstream to the union of what its members want. Each message is
// matched once, over a prefix trie ([29/PUBSUB]: a subscription matches every topic that
// begins with it, the empty one all), and encoded once for every codec that a member
// uses. Members with the same subscriptions form a group: all messages of one upstream
// read that the group wants are one chunk, and each member's queue gets a reference to it.
//
// The hub never waits for a client. What a client's queue does when it is full is the
// queue's policy, which must not be queue.Block.
//
// [29/PUBSUB]: https://rfc.zeromq.org/spec/29/
package fanout
