package zap

import "context"

// Grant is what one handler or authorizer permits a login to do. It depends on the route, so
// a reply's metadata, whose Subscribe and Send are the same everywhere, cannot express it.
// Implementations are safe for concurrent use and do not change once a reply holds them.
type Grant interface {
	// In reports whether the login may do anything in a domain. An error means that no
	// decision could be made.
	In(ctx context.Context, domain string) (bool, error)
	// On returns what the login may do on a route of a domain. The route is the path
	// without its leading slash. On is called when the login opens the route, and again
	// whenever the bridge re-evaluates its rights. An error means that no decision could
	// be made.
	On(ctx context.Context, domain, route string) (Access, error)
}

// Access is what a login may do on a route. The zero value allows nothing.
type Access struct {
	// Read permits receiving and Write permits sending, within the topics below.
	Read, Write bool
	// Receive lists the topics that may be received; used only with Read.
	Receive []Glob
	// Send lists the topics that may be sent; used only with Write.
	Send []Glob
	// Topics, if not nil, decides on topics instead of Receive and Send.
	Topics Topics
}

// Topics decides on topics one at a time, where they cannot be listed in advance. Both
// methods may wait for a network. Nil permits, an error that wraps [ErrDenied] refuses, and
// any other error means that no decision could be made. Implementations are safe for
// concurrent use.
type Topics interface {
	// Receive decides on a subscription to all topics that begin with prefix. It is called
	// once for each subscription, not for messages.
	Receive(ctx context.Context, prefix []byte) error
	// Send decides on a message with this topic.
	Send(ctx context.Context, topic []byte) error
}
