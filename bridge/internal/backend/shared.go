package backend

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Shared is one socket for many sessions; the package comment tells what each of them
// gets. Its methods may be called by any number of goroutines.
type Shared struct {
	core      *core
	dialler   *dialler // nil if it listens
	listeners []*zmtp.Listener
	o         ListenOptions
}

// DialShared opens a socket that connects, for sessions that are attached later. It
// returns at once and connects in the background; the Ready rule is [Shared.Wait]'s. REP
// and PAIR cannot be shared. Errors are about the options. The caller closes it.
func DialShared(o DialOptions) (*Shared, error) {
	if o.SocketType == zmtp.REP || o.SocketType == zmtp.PAIR {
		return nil, fmt.Errorf("backend: a %s cannot be shared by several clients", o.SocketType)
	}
	d, err := newDialler(o, true)
	if err != nil {
		return nil, err
	}
	d.start()
	return &Shared{core: d.core, dialler: d}, nil
}

// Listen opens a socket that native peers dial in to; o.Security decides on each of them.
// Errors are about the options, and those of [zmtp.Listen]. The caller closes it.
func Listen(o ListenOptions) (*Shared, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	s := &Shared{core: newCore(o.Options, true), o: o}
	for _, address := range o.Addresses {
		l, err := zmtp.Listen(address, o.Mechanism, o.Security, s.listenOptions())
		if err != nil {
			_ = s.Close()
			return nil, err
		}
		s.listeners = append(s.listeners, l)
	}
	for _, l := range s.listeners {
		s.core.running.Go(func() { s.accept(l) })
	}
	return s, nil
}

// listenOptions is what every listener is made with.
func (s *Shared) listenOptions() zmtp.ListenOptions {
	o := zmtp.ListenOptions{Options: s.o.connection(s.o.HandshakeTimeout)}
	if tell := s.o.Refused; tell != nil {
		o.Refused = func(peer net.Addr, err error) { tell(peer.String(), err) }
	}
	return o
}

// accept serves every peer that dials in until the listener is closed.
func (s *Shared) accept(l *zmtp.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if s.crowded() {
			_ = conn.Close()
			if s.o.Refused != nil {
				s.o.Refused(conn.RemoteAddr().String(), fmt.Errorf("backend: %d peers are connected, no more are allowed", s.o.MaxPeers))
			}
			continue
		}
		s.core.running.Go(func() { s.serve(conn) })
	}
}

func (s *Shared) crowded() bool {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	return len(s.core.peers) >= s.o.MaxPeers
}

// serve runs one peer.
func (s *Shared) serve(conn *zmtp.Conn) {
	status := Status{Address: conn.RemoteAddr().String(), State: Connected, Since: time.Now()}
	if reply := conn.Peer().Reply; reply != nil {
		status.User = reply.UserID
	}
	tell := func() {
		if s.o.Event != nil {
			s.o.Event(status)
		}
	}
	err := s.core.serve(conn, status, tell)
	status.State, status.Since = Gone, time.Now()
	if !errors.Is(err, io.EOF) && s.core.ctx.Err() == nil {
		status.Err = err
	}
	tell()
}

// Attach adds a session. Its Send, Receiver and Close are as [Socket] and [Receiver] say;
// Close leaves the shared socket open. The error is [ErrClosed].
func (s *Shared) Attach(r Receiver) (Socket, error) {
	return s.core.attach(r, newEnvelope())
}

// newEnvelope draws the number of a session. It is random so that a peer can answer only
// those sessions whose requests it got.
func newEnvelope() []byte {
	e := make([]byte, 1+8)
	_, _ = rand.Read(e[1:]) // never fails
	return e
}

// Wait returns once the Ready rule of the options is met; for a socket that listens, once
// a peer has dialled in. What [Dial] says of the rule holds with the last attempt of each
// endpoint in place of the first, so that a client that comes while all backends are away
// hears so at once. Errors are those of Dial; where ctx ends before anything was reached,
// an [*Error] that wraps [zmtp.ErrUnreachable]; and [ErrClosed].
func (s *Shared) Wait(ctx context.Context) error {
	var err error
	if s.dialler != nil {
		err = s.dialler.wait(ctx)
	} else {
		err = s.core.waitForPeer(ctx)
	}
	if err != nil && err == ctx.Err() {
		return newError(0, fmt.Errorf("%w: nobody was ready in time (%w)", zmtp.ErrUnreachable, err))
	}
	return err
}

// Endpoints are the addresses that it listens on, with the ports that were chosen.
func (s *Shared) Endpoints() []string {
	var list []string
	for _, l := range s.listeners {
		list = append(list, l.Endpoint())
	}
	return list
}

// Status returns the state of every endpoint in their order, or of every peer that has
// dialled in, longest first.
func (s *Shared) Status() []Status {
	if s.dialler != nil {
		return s.dialler.status()
	}
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	var list []Status
	for _, p := range s.core.peers {
		list = append(list, p.status)
	}
	return list
}

// Stats returns the socket's counts.
func (s *Shared) Stats() Stats { return s.core.counts() }

// Close ends the socket for all sessions, as [Socket] describes it.
func (s *Shared) Close() error {
	for _, l := range s.listeners {
		_ = l.Close()
	}
	s.core.close()
	return nil
}
