package backend

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestRoundRobin checks that of 300 messages each of three peers gets 100, for all socket types
// and sizes of portions.
func TestRoundRobin(t *testing.T) {
	for _, c := range []struct {
		ours, theirs zmtp.SocketType
		portion      int
	}{{zmtp.DEALER, zmtp.ROUTER, 1}, {zmtp.DEALER, zmtp.DEALER, 7}, {zmtp.PUSH, zmtp.PULL, 300}} {
		t.Run(fmt.Sprint(c.ours, c.portion), func(t *testing.T) {
			natives := []*native{newNative(t, c.theirs), newNative(t, c.theirs), newNative(t, c.theirs)}
			s := dial(t, options(c.ours, natives...), newInbox())
			var msgs []zmtp.Message
			for i := range 300 {
				msgs = append(msgs, message(strconv.Itoa(i)))
			}
			for from := 0; from < 300; from += c.portion {
				send(t, s, msgs[from:min(300, from+c.portion)]...)
			}
			for i, n := range natives {
				conn := n.accept()
				last := -1
				for range 100 {
					m, err := strconv.Atoi(read(t, conn))
					if err != nil || m <= last {
						t.Fatalf("backend %d: %d after %d (%v)", i+1, m, last, err)
					}
					last = m
				}
			}
		})
	}
}

// pipes connects endpoints over net.Pipe, where a write ends when the other side has read it, so
// that it is known exactly what a peer has received.
type pipes struct {
	t      testing.TB
	mu     sync.Mutex
	served map[string]chan *zmtp.Conn // server sides, by address
	fail   map[string]error           // errors of dial, by address
	socket zmtp.SocketType
}

func newPipes(t testing.TB, theirs zmtp.SocketType, addresses ...string) *pipes {
	p := &pipes{t: t, served: make(map[string]chan *zmtp.Conn), fail: make(map[string]error), socket: theirs}
	for _, a := range addresses {
		p.served[a] = make(chan *zmtp.Conn, 100)
	}
	return p
}

func (p *pipes) setFail(address string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail[address] = err
}

func (p *pipes) dial(ctx context.Context, address string, sec zmtp.ClientSecurity, o zmtp.Options) (*zmtp.Conn, error) {
	p.mu.Lock()
	err := p.fail[address]
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	a, b := net.Pipe()
	done := make(chan *zmtp.Conn, 1)
	go func() {
		c, err := zmtp.Server(context.WithoutCancel(ctx), b, zap.NULL, open, zmtp.Options{SocketType: p.socket, ReadBuffer: 16})
		if err != nil {
			c = nil
		}
		done <- c
	}()
	c, err := zmtp.Client(ctx, a, sec, o)
	s := <-done
	if err != nil {
		return nil, err
	}
	p.t.Cleanup(func() { s.Close() })
	p.served[address] <- s
	return c, nil
}

func (p *pipes) options(ours zmtp.SocketType) DialOptions {
	o := options(ours)
	for _, a := range []string{"one", "two", "three"} {
		if p.served[a] != nil {
			o.Endpoints = append(o.Endpoints, at(a, zmtp.Null{}))
		}
	}
	o.dial = p.dial
	return o
}

// TestNothingLost closes one of three peers while messages wait for each of them. The other two
// must get all that it has not read, each message once.
func TestNothingLost(t *testing.T) {
	for taken := range 5 {
		t.Run(fmt.Sprint(taken), func(t *testing.T) {
			p := newPipes(t, zmtp.PULL, "one", "two", "three")
			s := dial(t, p.options(zmtp.PUSH), newInbox())
			for i := range 30 {
				send(t, s, message(fmt.Sprintf("%02000d", i))) // longer than the read buffer
			}
			got := make(chan string, 100)
			first := <-p.served["one"]
			p.setFail("one", zmtp.ErrUnreachable)
			for range taken {
				got <- read(t, first)
			}
			first.Close()
			for _, name := range []string{"two", "three"} {
				c := <-p.served[name]
				go func() {
					for {
						m, err := c.ReadMessage()
						if err != nil {
							return
						}
						got <- text(m)
					}
				}()
			}
			seen := make(map[string]int)
			for range 30 {
				seen[receiveWithin(t, got)]++
			}
			if len(seen) != 30 {
				t.Errorf("30 messages received, %d different: %v", len(seen), seen)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if len(got) > 0 {
				t.Errorf("%q was received twice", <-got)
			}
		})
	}
}

// TestNothingLostWithReconnects has peers that disconnect after a few messages, again and again.
// Each message must be received once.
func TestNothingLostWithReconnects(t *testing.T) {
	const messages = 500
	p := newPipes(t, zmtp.PULL, "one", "two", "three")
	o := p.options(zmtp.PUSH)
	o.HighWaterMark, o.Linger = 20, -1
	s := dial(t, o, newInbox())
	got := make(chan string, messages+1)
	for _, served := range p.served {
		go func() {
			for c := range served {
				for range 1 + rand.IntN(20) {
					m, err := c.ReadMessage()
					if err != nil {
						break
					}
					got <- text(m)
				}
				c.Close()
			}
		}()
		t.Cleanup(func() { s.Close(); close(served) })
	}
	go func() {
		for i := range messages {
			if s.Send(t.Context(), message(fmt.Sprintf("%02000d", i))) != nil {
				return
			}
		}
	}()
	seen := make(map[string]bool)
	for range messages {
		m := receiveWithin(t, got)
		if seen[m] {
			t.Fatalf("%s was received twice", m[len(m)-4:])
		}
		seen[m] = true
	}
}

// TestStalledPeer checks that a peer that reads nothing does not delay the others once its own
// high-water mark is reached.
func TestStalledPeer(t *testing.T) {
	p := newPipes(t, zmtp.PULL, "one", "two")
	o := p.options(zmtp.PUSH)
	o.HighWaterMark, o.Linger = 10, -1
	s := dial(t, o, newInbox())
	<-p.served["one"] // is not read
	good := <-p.served["two"]
	go func() {
		for i := range 100 {
			if s.Send(t.Context(), message(strconv.Itoa(i))) != nil {
				return
			}
		}
	}()
	for range 90 {
		read(t, good)
	}
}

// TestHighWaterMark checks that exactly the high-water mark is queued while no peer is ready,
// and that Send then waits until its context ends or a peer is ready.
func TestHighWaterMark(t *testing.T) {
	for name, c := range map[string]struct {
		messages int
		bytes    int64
		fits     int
	}{
		"messages":                 {10, 0, 10},
		"bytes":                    {0, 95, 10},
		"one is always taken":      {5, 1, 1},
		"one message and one more": {1, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPipes(t, zmtp.ROUTER, "one")
			p.setFail("one", zmtp.ErrUnreachable)
			o := p.options(zmtp.DEALER)
			o.Ready, o.HighWaterMark, o.HighWaterBytes = None, c.messages, c.bytes
			s := dial(t, o, newInbox())
			numbered := func(i int) zmtp.Message { return message(fmt.Sprintf("message %02d", i)[:10]) }
			for i := range c.fits {
				send(t, s, numbered(i))
			}
			if n := s.Stats().Queued; n != c.fits {
				t.Errorf("%d queued, want %d", n, c.fits)
			}
			ctx, cancel := context.WithCancel(t.Context())
			waits := make(chan error, 1)
			go func() { waits <- s.Send(ctx, numbered(98)) }()
			eventually(t, "Send waits", func() bool {
				s.d.core.mu.Lock()
				defer s.d.core.mu.Unlock()
				return s.d.core.room != nil
			})
			cancel()
			if err := receiveWithin(t, waits); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want context.Canceled", err)
			}
			go func() { waits <- s.Send(t.Context(), numbered(99)) }()
			p.setFail("one", nil)
			backend := receiveWithin(t, p.served["one"])
			for i := range c.fits {
				want(t, read(t, backend), string(numbered(i)[0]))
			}
			want(t, read(t, backend), "message 99")
			if err := receiveWithin(t, waits); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCloseLingers checks that what was sent before Close is still written.
func TestCloseLingers(t *testing.T) {
	p := newPipes(t, zmtp.PULL, "one", "two")
	o := p.options(zmtp.PUSH)
	o.Linger = time.Minute
	s := dial(t, o, newInbox())
	send(t, s, message("a"), message("b"), message("c"))
	closed := make(chan error)
	go func() { closed <- s.Close() }()
	got := make(chan string, 3)
	for _, served := range p.served {
		c := <-served
		go func() {
			for m, err := c.ReadMessage(); err == nil; m, err = c.ReadMessage() {
				got <- text(m)
			}
		}()
	}
	want(t, sorted([]string{receiveWithin(t, got), receiveWithin(t, got), receiveWithin(t, got)}), "[a b c]")
	if err := receiveWithin(t, closed); err != nil {
		t.Error(err)
	}
	if err := s.Send(t.Context(), message("d")); !errors.Is(err, ErrClosed) {
		t.Errorf("Send after Close: %v, want ErrClosed", err)
	}
}

// TestFairQueue checks that of three publishers that flood a slow client each gets at least half
// of its share.
func TestFairQueue(t *testing.T) {
	natives := []*native{newNative(t, zmtp.PUSH), newNative(t, zmtp.PUSH), newNative(t, zmtp.PUSH)}
	slow := &inbox{arrived: make(chan zmtp.Message), done: make(chan struct{})}
	s := dial(t, options(zmtp.PULL, natives...), slow)
	for i, n := range natives {
		c := n.accept()
		flood := make([]zmtp.Message, 100)
		for j := range flood {
			flood[j] = zmtp.Message{make([]byte, 1000), []byte(strconv.Itoa(i))}
		}
		go func() {
			for c.Write(flood...) == nil {
			}
		}()
	}
	// Many, since a turn is a whole buffer and the publishers share the processors.
	const all = 30_000
	counts := make(map[string]int)
	for range all {
		counts[string(receiveWithin(t, slow.arrived)[1])]++
	}
	for i := range natives {
		if n := counts[strconv.Itoa(i)]; n < all/6 {
			t.Errorf("publisher %d: %d of %d messages", i, n, all)
		}
	}
	close(slow.done)
	s.Close()
}
