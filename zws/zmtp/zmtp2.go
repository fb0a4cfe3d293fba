package zmtp

import (
	"context"
	"fmt"
	"slices"

	"github.com/zwsbridge/zwsbridge/zap"
)

// ZMTP 2.0 (15/ZMTP, "Formal Grammar"), which has neither mechanisms nor commands:
//
//	greeting    = signature revision socket-type identity
//	revision    = %x01
//	socket-type = OCTET          ; index of socketTypes2
//	identity    = %x00 OCTET body
//
// After that the peers exchange messages; subscriptions are messages. The signature and the
// place of the version are those of ZMTP 3, so that each side learns what the other speaks.
const (
	revision2_0 = 1
	revision2_1 = 2 // of a draft with the same greeting
)

// socketTypes2 are the socket types by their byte. XPUB and XSUB are not in 15/ZMTP, where they
// are PUB and SUB; libzmq sends them.
var socketTypes2 = []SocketType{PAIR, PUB, SUB, REQ, REP, DEALER, ROUTER, PULL, PUSH, XPUB, XSUB}

// greeting2 returns the end of this side's greeting: socket type and routing id.
func (o *Options) greeting2() []byte {
	t, id := o.SocketType, []byte(nil)
	switch t {
	case XPUB:
		t = PUB
	case XSUB:
		t = SUB
	case DEALER, REQ, ROUTER:
		id = o.RoutingID
	}
	return AppendFrame([]byte{byte(slices.Index(socketTypes2, t))}, Frame{Body: id})
}

// negotiate sends the start of a greeting, up to the major version, which means the same in ZMTP 2.0
// and 3, and learns the version of the peer. For ZMTP 2.0 it exchanges the rest of the greeting,
// otherwise it returns how much of ours was sent.
func (c *Conn) negotiate(ours []byte, accepted bool) (sent int, err error) {
	send := func(n int) {
		_ = c.writeRaw(ours[sent:n]) // a failure is left for the reads to report
		sent = n
	}
	if !accepted {
		send(minorAt)
	}
	for len(c.in.peek()) <= majorAt {
		if err := c.in.fill(); err != nil {
			return sent, err
		}
		got := len(c.in.peek())
		if err := checkGreeting(c.in.peek()[:min(got, majorAt)]); err != nil {
			return sent, err
		}
		if sent == 0 && got <= majorAt {
			send(minorAt)
		}
	}
	switch v := c.in.peek()[majorAt]; {
	case v == revision2_0 || v == revision2_1:
		if sent == 0 {
			send(minorAt)
		}
		_ = c.writeRaw(c.o.greeting2())
		return sent, c.readGreeting2()
	case sent == 0 || !accepted:
		// A peer that was dialled may wait for the rest: if this side did too, the login would
		// stand still. A peer that dialled and sent all of its version waits for nothing.
		send(greetingSize)
	default:
		c.greetsInSteps = true
		send(versionedSize)
	}
	return sent, nil
}

// readGreeting2 reads the greeting of a ZMTP 2.0 peer into older.
func (c *Conn) readGreeting2() error {
	c.in.take(minorAt)
	for len(c.in.peek()) == 0 {
		if err := c.in.fill(); err != nil {
			return err
		}
	}
	theirs := c.in.take(1)[0]
	if int(theirs) >= len(socketTypes2) {
		return fmt.Errorf("%w: socket type %d in a greeting of ZMTP 2.0", ErrProtocol, theirs)
	}
	h, err := c.in.header()
	if err != nil {
		return err
	}
	if h.more || h.command || h.size > maxRoutingID {
		return fmt.Errorf("%w: a greeting of ZMTP 2.0 without a routing id of at most %d bytes", ErrProtocol, maxRoutingID)
	}
	id, err := c.in.body(h)
	if err != nil {
		return err
	}
	c.older = zap.Metadata{{Name: "Socket-Type", Value: string(socketTypes2[theirs])}, {Name: "Identity", Value: string(id)}}
	return nil
}

// loginOlder is the handshake with a ZMTP 2.0 peer, whose greeting stands for the READY of m. A
// server side asks its ZAP handler about it and has no way to say ERROR.
func (c *Conn) loginOlder(ctx context.Context, m Mechanism, server bool) error {
	c.setWaiting(false)
	if !server {
		if _, err := m.Next(ctx, nil); err != nil {
			return err
		}
	}
	if _, err := m.Next(ctx, &Command{Name: cmdReady, Data: c.older.Append(nil)}); err != nil {
		return err
	}
	c.mechanism = m
	return nil
}

// errOlderCommand is the error for a command of a peer that cannot know any.
var errOlderCommand = fmt.Errorf("%w: command from a ZMTP 2.0 peer", ErrProtocol)
