package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/zwsbridge/zwsbridge/bridge/internal/backend"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/bridge/internal/rights"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// channel is one socket of a session on a route: what the client may do there, what waits
// for it, and the socket behind that serves it. A plain ZWS connection has one.
//
// The reader of the session calls forward; the backend calls Message and Flush; the
// writer of the session empties the queue.
type channel struct {
	route *route
	// privileges says what the client may do; a renewed login replaces it.
	privileges atomic.Pointer[privileges]
	queue      *queue.Queue
	codec      queue.Codec
	socket     backend.Socket
	relay      *backend.Relay // socket on a relay route, else nil
	held       []zmtp.Message // what the client has sent, and the socket does not have yet
	stamp      []byte         // frame that goes with every message of the client; nil for none

	// chunk collects what the backend has brought since the last Flush.
	chunk *queue.Chunk
	size  int   // of the chunk before: the next one is made as large
	over  error // why the queue takes no more

	delivery delivery

	// deciding is held while a subscription is decided on, or all of them are anew, so that
	// none stands by rights that are no more.
	deciding sync.Mutex

	mu sync.Mutex
	// asked is the client's subscriptions and what each has become upstream: the same
	// topic, or where that was too wide the narrower ones.
	asked map[string][][]byte
	// narrowed tells that one of them has become something else than itself.
	narrowed bool
	// filtered reports that the subscriptions bring messages that the client may not have,
	// so that each has to be checked. A hub does that before it queues them.
	filtered atomic.Bool

	// lapsed tells that a subscription was dropped by us: messages for it are under way
	// until the backend has heard of that.
	lapsed atomic.Bool
}

// privileges are the rights of a login on a route.
type privileges struct {
	*rights.Rights
	unlimited bool   // nothing has to be asked for a single message
	by        *rules // that gave them
}

func newPrivileges(by *rules, r *rights.Rights) *privileges {
	return &privileges{Rights: r, unlimited: r.Unlimited(), by: by}
}

// chunkSize is how large the first chunk is made, in octets.
const chunkSize = 256

// Message implements backend.Receiver: it queues what the client may see. It takes nothing
// once the queue is closed, so that somebody else may have it.
func (c *channel) Message(m zmtp.Message) error {
	if c.over != nil {
		return c.over
	}
	c.delivery.begin()
	if c.lapsed.Load() && !c.wants(m[0]) {
		return nil
	}
	if p := c.privileges.Load(); !p.unlimited && rights.Filtered(c.route.config.Socket) && !p.Deliver(topic(c.route.config.Socket, m)) {
		return nil
	}
	if c.chunk == nil {
		c.chunk = queue.NewChunk(c.codec, max(c.size, chunkSize))
	}
	c.chunk.Append(m)
	return nil
}

// Flush implements backend.Receiver.
func (c *channel) Flush() {
	defer c.delivery.end(c.queue)
	if c.chunk == nil {
		return
	}
	chunk := c.chunk
	c.chunk, c.size = nil, chunk.Size()
	c.route.metrics.ToClient(chunk.Messages(), chunk.Size())
	c.over = c.queue.PutChunk(chunk)
	chunk.Release()
}

// maxHeld is how many messages of a client are given to the backend at a time, and
// keptHeld for how many the room is kept.
const (
	maxHeld  = 256
	keptHeld = 8
)

// forward gives one message of the client to the backend, if it is allowed. It waits
// while the backend cannot take it. Where more tells that another is at hand, the message
// may be held to go to the backend together with that one.
func (c *channel) forward(ctx context.Context, m zmtp.Message, more bool) error {
	if !c.route.config.Relay { // what a relay passes on is not for us to read
		if done, err := c.examine(ctx, m); done || err != nil {
			return err
		}
	}
	c.route.metrics.FromClient(m)
	if c.stamp != nil {
		m = stamped(c.route.config.Socket, m, c.stamp)
	}
	c.held = append(c.held, m)
	if more && len(c.held) < maxHeld {
		return nil
	}
	return c.release(ctx)
}

// examine looks at a message of the client before it goes on. done tells that it was a
// subscription, which has been dealt with.
func (c *channel) examine(ctx context.Context, m zmtp.Message) (done bool, err error) {
	if c.route.config.Socket.Subscribes() {
		if s, ok := zmtp.ParseSubscription(m); ok {
			if err := c.release(ctx); err != nil {
				return true, err
			}
			return true, c.subscribe(ctx, s.Topic, !s.Cancel)
		}
		if c.route.config.Socket == zmtp.SUB {
			return false, &zws.CloseError{Code: zws.CodeProtocol, Reason: "this route takes subscriptions only"}
		}
	}
	if p := c.privileges.Load(); !p.unlimited {
		if err := p.Send(ctx, topic(c.route.config.Socket, m)); err != nil {
			return false, errors.Join(forbidden(err), c.release(ctx))
		}
	}
	return false, nil
}

// release gives the backend what was held.
func (c *channel) release(ctx context.Context) error {
	if len(c.held) == 0 {
		return nil
	}
	err := c.socket.Send(ctx, c.held...)
	clear(c.held)
	if c.held = c.held[:0]; cap(c.held) > keptHeld {
		c.held = nil
	}
	return err
}

// subscribe adds or removes one subscription of the client. A client's subscriptions are a
// set: jszmq and libzmq repeat one on reconnect and cancel it once.
func (c *channel) subscribe(ctx context.Context, prefix []byte, on bool) error {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if !on {
		return c.stand(ctx, string(prefix), rights.Allowed{})
	}
	limits := &c.route.rules.Load().limits
	if len(prefix) > limits.topic {
		return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused,
			Reason: fmt.Sprintf("a topic of %d octets: at most %d are allowed", len(prefix), limits.topic)}
	}
	c.mu.Lock()
	known, number := c.asked[string(prefix)] != nil, len(c.asked)
	c.mu.Unlock()
	if known {
		return nil
	}
	if number >= limits.subscriptions {
		return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused,
			Reason: fmt.Sprintf("more than %d subscriptions", limits.subscriptions)}
	}
	grant, err := c.privileges.Load().Subscribe(ctx, prefix)
	if err != nil {
		return forbidden(err)
	}
	return c.stand(ctx, string(prefix), grant)
}

// stand has the client's subscription to prefix stand for what was granted from now on, for
// nothing if it is cancelled, and tells the backend what changes by that.
func (c *channel) stand(ctx context.Context, prefix string, grant rights.Allowed) error {
	// The first grant that needs the filter is subscribed to once more, which turns the
	// filter on in a hub and changes nothing else.
	again := grant.Filter && !c.filtered.Swap(true)
	c.mu.Lock()
	old := c.asked[prefix]
	switch {
	case len(grant.Prefixes) == 0:
		delete(c.asked, prefix)
	case c.asked == nil:
		c.asked = make(map[string][][]byte)
		fallthrough
	default:
		c.asked[prefix] = grant.Prefixes
		c.narrowed = c.narrowed || len(grant.Prefixes) > 1 || string(grant.Prefixes[0]) != prefix
	}
	var subscribe, unsubscribe [][]byte
	for _, g := range grant.Prefixes {
		if again || !holds(old, g) && !c.elsewhere(prefix, g) {
			subscribe = append(subscribe, g)
		}
	}
	for _, g := range old {
		if !holds(grant.Prefixes, g) && !c.elsewhere(prefix, g) {
			unsubscribe = append(unsubscribe, g)
		}
	}
	c.mu.Unlock()
	if len(subscribe) > 0 {
		if err := c.socket.Subscribe(ctx, subscribe...); err != nil {
			return err
		}
	}
	if len(unsubscribe) > 0 {
		return c.socket.Unsubscribe(ctx, unsubscribe...)
	}
	return nil
}

// wants tells whether a subscription of the client stands for topic.
func (c *channel) wants(topic []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, prefixes := range c.asked {
		if slices.ContainsFunc(prefixes, func(p []byte) bool { return bytes.HasPrefix(topic, p) }) {
			return true
		}
	}
	return false
}

// elsewhere tells whether another subscription of the client than prefix stands for topic
// upstream too: lock held.
func (c *channel) elsewhere(prefix string, topic []byte) bool {
	if !c.narrowed {
		return false // each stands for itself
	}
	for p, topics := range c.asked {
		if p != prefix && holds(topics, topic) {
			return true
		}
	}
	return false
}

func holds(topics [][]byte, topic []byte) bool {
	return slices.ContainsFunc(topics, func(t []byte) bool { return bytes.Equal(t, topic) })
}

// reconsider puts the rights of a renewed login, or of changed rules, in place of the
// old. Subscriptions that are no longer allowed, or not as widely, are dropped, which the
// client is told; it returns how many.
func (c *channel) reconsider(ctx context.Context, p *privileges) (dropped int, err error) {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	c.privileges.Store(p)
	c.mu.Lock()
	prefixes := slices.Collect(maps.Keys(c.asked))
	c.mu.Unlock()
	for _, prefix := range prefixes {
		grant, err := p.Subscribe(ctx, []byte(prefix))
		denied := errors.Is(err, rights.ErrDenied)
		if err != nil && !denied {
			return dropped, forbidden(err)
		}
		if err := c.stand(ctx, prefix, grant); err != nil {
			return dropped, err
		}
		if denied {
			dropped++
			c.lapsed.Store(true)
			if err := c.delivery.unsubscribed(c.queue, []byte(prefix), c.route.rules.Load().limits.subscriptions); err != nil {
				return dropped, err
			}
		}
	}
	return dropped, nil
}

// close ends the channel. When it returns, nothing of it runs any more.
func (c *channel) close() {
	c.queue.Close() // first: a backend that waits for room comes back
	if c.socket != nil {
		c.socket.Close()
	}
	if c.chunk != nil {
		c.chunk.Release()
	}
}

// forbidden makes of an error of package rights what the client is told.
func forbidden(err error) error {
	if errors.Is(err, rights.ErrDenied) {
		return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused, Reason: err.Error()}
	}
	return &zws.CloseError{Code: zws.CodeTemporary, Reason: "what you may do cannot be checked at present, try again later", Err: err}
}
