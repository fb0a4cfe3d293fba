package backend

import (
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// listening is an address that a [Shared] listens on.
type listening struct {
	*zmtp.Listener
	address  string // of the options
	login    login
	settings settings
}

// login is how peers log in. Peers that logged in otherwise are disconnected.
type login struct {
	mechanism      zap.Mechanism
	domain         string
	public, secret [32]byte
	zmtp2          bool
}

// settings are what else a listener is made with.
type settings struct {
	limits    zmtp.Limits
	handshake time.Duration
}

func (o *ListenOptions) login() login {
	return login{o.Mechanism, o.Security.Domain, o.Security.CurvePublic, o.Security.CurveSecret, o.ZMTP2}
}

func (o *ListenOptions) settings() settings { return settings{o.Limits, o.HandshakeTimeout} }

// open listens on an address, on the socket of inherit if that is not nil.
func (s *Shared) open(address string, o *ListenOptions, inherit *zmtp.Listener) (*listening, error) {
	security := o.Security
	security.Admit = s.o.admit
	l := &listening{address: address, login: o.login(), settings: o.settings()}
	if inherit == nil && o.Inherit != nil {
		inherit = o.Inherit(address)
	}
	var err error
	if inherit != nil {
		l.Listener, err = inherit.Share(o.Mechanism, security, s.listenOptions(o))
	} else {
		l.Listener, err = zmtp.Listen(address, o.Mechanism, security, s.listenOptions(o))
	}
	return l, err
}

// listenOptions returns the options of each listener.
func (s *Shared) listenOptions(o *ListenOptions) zmtp.ListenOptions {
	return zmtp.ListenOptions{
		Options: o.connection(o.HandshakeTimeout),
		Socket:  o.Socket,
		Refused: func(peer net.Addr, err error) {
			switch {
			case peer == nil && s.o.Failed != nil:
				s.o.Failed(err)
			case peer != nil && s.o.Refused != nil:
				s.o.Refused(peer.String(), err)
			}
		},
	}
}

// Rebinding is a change of what a live [Shared] listens on that was prepared. Apply it or Discard
// it.
type Rebinding struct {
	s    *Shared
	o    ListenOptions
	next []*listening
}

// Rebind prepares that the socket listens on o.Addresses, with the login, handshake time-out,
// limits of connections, turn time-out and high-water marks of o. It opens what is to be opened.
// Errors are those of [Listen]; nothing has changed then.
func (s *Shared) Rebind(o ListenOptions) (*Rebinding, error) {
	if s.dialer != nil {
		return nil, fmt.Errorf("backend: a %s socket that connects does not listen", s.core.o.SocketType)
	}
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	b := &Rebinding{s: s, o: o}
	s.core.mu.Lock()
	old := slices.Clone(s.listeners)
	s.core.mu.Unlock()
	for _, address := range o.Addresses {
		var before *zmtp.Listener
		if at := slices.IndexFunc(old, func(l *listening) bool { return l.address == address }); at >= 0 {
			l := old[at]
			old = slices.Delete(old, at, at+1)
			if l.login == o.login() && l.settings == o.settings() {
				b.next = append(b.next, l)
				continue
			}
			before = l.Listener
		}
		l, err := s.open(address, &o, before)
		if err != nil {
			b.Discard()
			return nil, err
		}
		b.next = append(b.next, l)
	}
	return b, nil
}

// Discard closes what Rebind has opened.
func (b *Rebinding) Discard() {
	b.s.core.mu.Lock()
	kept := slices.Clone(b.s.listeners)
	b.s.core.mu.Unlock()
	closeAll(b.next, kept)
}

// Apply puts the change in force. Peers that are connected to an address that is gone, or have
// logged in in another way, may answer what they were sent, as [Dedicated.SetEndpoints] has it, and
// are disconnected.
func (b *Rebinding) Apply() {
	s, c := b.s, b.s.core
	c.mu.Lock()
	if s.closed {
		c.mu.Unlock()
		b.Discard()
		return
	}
	old := s.listeners
	s.listeners = b.next
	c.setBounds(&b.o.Options)
	switch pattern := c.pattern.(type) {
	case *router:
		pattern.turnTimeout = b.o.TurnTimeout
	case *publisher:
		pattern.union.most = b.o.MaxSubscriptionBytes
	}
	for _, l := range b.next {
		if !slices.Contains(old, l) {
			c.running.Go(func() { s.accept(l) })
		}
	}
	for _, p := range c.peers {
		if !s.serves(p) {
			c.drain(p, func() {})
		}
	}
	c.wakeSenders()
	c.mu.Unlock()
	closeAll(old, b.next)
}

// serves reports whether a peer's address and login are still those of a listener, which becomes
// that of p. Lock held on entry.
func (s *Shared) serves(p *peer) bool {
	if p.via == nil { // in tests
		return true
	}
	for _, l := range s.listeners {
		if l.address == p.via.address && l.login == p.via.login {
			p.via = l
			return true
		}
	}
	return false
}

// closeAll closes the listeners that are not kept.
func closeAll(list, kept []*listening) {
	for _, l := range list {
		if !slices.Contains(kept, l) {
			_ = l.Close()
		}
	}
}

// Listeners lists what listens.
func (s *Shared) Listeners() (list []*zmtp.Listener) {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	for _, l := range s.listeners {
		list = append(list, l.Listener)
	}
	return list
}

// Listener returns what listens on an address of the options; nil if nothing does.
func (s *Shared) Listener(address string) *zmtp.Listener {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	for _, l := range s.listeners {
		if l.address == address {
			return l.Listener
		}
	}
	return nil
}
