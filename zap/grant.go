package zap

import "context"

// Rights is what a login may do, in the eyes of one who has decided on it. Rights of that
// kind depend on the route, so that they cannot stand in a reply's metadata, whose
// Subscribe and Send are the same everywhere. Implementations are safe for concurrent use
// and are not changed once a reply holds them.
type Grant interface {
	// In tells whether the login may do anything at all in a domain. An error says that
	// no decision could be made.
	In(ctx context.Context, domain string) (bool, error)
	// On tells what the login may do on a route of a domain. The route is named by its
	// path without the first slash. It is asked when the login opens the route, and again
	// when its rights are worked out anew. An error says that no decision could be made.
	On(ctx context.Context, domain, route string) (Access, error)
}

// Access is what a login may do on a route. Its zero value allows nothing.
type Access struct {
	// Read allows to receive, Write to send, as far as the topics below go.
	Read, Write bool
	// Receive are the topics that may be received; they count with Read only.
	Receive []Glob
	// Send are the topics that may be sent; they count with Write only.
	Send []Glob
	// Topics, if not nil, decides on topics in the place of Receive and Send.
	Topics Topics
}

// Topics decides on topics one at a time, where they cannot be told in advance. Both
// methods may wait for a network; nil allows, an error that wraps [ErrDenied] refuses, and
// any other says that no decision could be made. Implementations are safe for concurrent
// use.
type Topics interface {
	// Receive decides on a subscription to all topics that begin with prefix. It is asked
	// once for each subscription, and never for a message.
	Receive(ctx context.Context, prefix []byte) error
	// Send decides on a message with this topic.
	Send(ctx context.Context, topic []byte) error
}
