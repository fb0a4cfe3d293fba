package zws_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestAcceptEnded: a login whose connection ended while it was pending cannot be accepted.
func TestAcceptEnded(t *testing.T) {
	pending := make(chan struct{})
	s := serveWith(t, options(), plain, after(func(ctx context.Context, _ *zws.Login) error {
		close(pending)
		<-ctx.Done()
		return nil
	}), echo)
	p := s.dialRaw(t, "/", offering("WSNetMQ"))
	<-pending
	s.cancel()
	p.expectClose(1001, "shutting down")
	if a := <-s.accepted; a.conn != nil || zws.Cause(a.err).Code != zws.CodeGoingAway {
		t.Errorf("accepted %v, %v", a.conn, a.err)
	}
}

// TestNextChannel: it is for connections of ZWSMUX1.0, and its context ends the connection.
func TestNextChannel(t *testing.T) {
	s := serveWith(t, options(), plain, accept, func(c *zws.Conn) {
		if _, err := c.NextChannel(context.Background()); err == nil {
			t.Error("a plain connection has channels")
		}
		echo(c)
	})
	s.dialRaw(t, "/", offering("WSNetMQ")).send("\x00m")

	ctx, cancel := context.WithCancelCause(t.Context())
	s = serveWith(t, muxOptions(), plain, accept, func(c *zws.Conn) {
		if _, err := c.NextChannel(ctx); zws.Cause(err).Code != zws.CodeForbidden {
			t.Errorf("ended with %v", err)
		}
		c.Wait()
	})
	p := s.dialRaw(t, "/", offering("ZWSMUX1.0"))
	p.send("\x01\x04NULL")
	p.expect("\x02\x00\x00\x00\x64")
	cancel(&zws.CloseError{Code: zws.CodeForbidden, Reason: "no more"})
	p.expectClose(4403, "no more")
}

// TestPendingChannelClosed: a channel that the client closed while it was pending cannot be
// accepted, and a client that opens and closes without pause is stopped at twice MaxChannels.
func TestPendingChannelClosed(t *testing.T) {
	o := muxOptions()
	o.MaxChannels = 2
	pending, decide := make(chan *zws.PendingChannel, 4), make(chan struct{})
	s := serveMuxWith(t, o, func(p *zws.PendingChannel) {
		pending <- p
		<-decide
		<-p.Context().Done()
		c, err := p.Accept(zws.AcceptOptions{})
		if closed, ok := errors.AsType[*zws.CloseError](err); c != nil || !ok || !errors.Is(closed, zws.ErrPeerClosed) {
			t.Errorf("accepted %v, %v", c, err)
		}
	})
	p := s.dialRaw(t, "/", offering("ZWSMUX1.0"))
	p.send("\x01\x04NULL")
	p.expect("\x02\x00\x00\x00\x02")
	for n := range 4 {
		p.send("\x03\x00\x00\x00" + string(rune(n+1)) + "\x00\x00\x00\x00\x00\x00\x00\x02/a")
		<-pending
		p.send("\x07\x00\x00\x00" + string(rune(n+1)) + "\x03\xe8")
	}
	p.send("\x03\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x02/a")
	p.expect("\x07\x00\x00\x00\x05\x11\x4dmore than 2 channels on a connection")
	close(decide)
}

// TestChannelSend: messages of many goroutines arrive, those of each in order; Send waits for
// a client that does not read, until its context or the channel ends.
func TestChannelSend(t *testing.T) {
	const senders, each = 4, 500
	text := strings.Repeat("x", 1000)
	run := func(ch *zws.Channel) {
		var running sync.WaitGroup
		for i := range senders {
			running.Go(func() {
				for n := range each {
					if err := ch.Send(t.Context(), zmtp.Message{{byte(i)}, {byte(n >> 8), byte(n)}, []byte(text)}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		running.Wait()
	}
	receive := func(t *testing.T, c zws.Socket) {
		var next [senders]int
		for range senders * each {
			m, err := c.Recv(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if i, n := m[0][0], int(m[1][0])<<8|int(m[1][1]); n != next[i] || string(m[2]) != text {
				t.Fatalf("message %d of sender %d, want %d", n, i, next[i])
			}
			next[m[0][0]]++
		}
	}
	o := options()
	for _, name := range []string{"ZWS2.0/NULL", "ZWS2.0/CURVE"} {
		t.Run(name, func(t *testing.T) {
			s := serveWith(t, o, plain, accept, func(c *zws.Conn) {
				run(c.Channel())
				drop(c)
			})
			c, err := zws.Dial(t.Context(), s.url(), clients(&o, "user")[name])
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			receive(t, c)
		})
	}
	t.Run("ZWSMUX1.0", func(t *testing.T) {
		s := serveMuxWith(t, muxOptions(), func(p *zws.PendingChannel) {
			ch, err := p.Accept(zws.AcceptOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			run(ch)
			<-ch.Context().Done()
			ch.Close(nil)
		})
		c := open(t, dialMux(t, s), zws.ChannelOptions{Route: "/", Window: 5000})
		receive(t, c)
	})
}

// TestChannelSendWaits: Send waits while the client does not read.
func TestChannelSendWaits(t *testing.T) {
	waited, ended := make(chan struct{}), make(chan struct{})
	s := serveMuxWith(t, muxOptions(), func(p *zws.PendingChannel) {
		defer close(ended)
		ch, err := p.Accept(zws.AcceptOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		defer ch.Close(nil)
		if err := ch.Send(t.Context(), nil); err == nil {
			t.Error("an empty message was sent")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		for err == nil {
			err = ch.Send(ctx, message(strings.Repeat("x", 10_000)))
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Send: %v, want the end of its context", err)
		}
		close(waited)
		for err = nil; err == nil; {
			err = ch.Send(context.Background(), message("until the client closes"))
		}
		if !errors.Is(err, zws.ErrPeerClosed) {
			t.Errorf("Send: %v, want the end of the channel", err)
		}
	})
	c := open(t, dialMux(t, s), zws.ChannelOptions{Route: "/", Window: 1})
	<-waited
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	<-ended // before the cleanup closes the connection
}

// TestClientContext: the end of a context ends a Recv that waits; a Client is then closed, a
// channel is not.
func TestClientContext(t *testing.T) {
	recv := func(c zws.Socket) error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		_, err := c.Recv(ctx)
		return err
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	o := options()
	c, err := zws.Dial(t.Context(), serve(t, o, plain).url(), clients(&o, "user")["ZWS2.0/NULL"])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Send(ended, message("m")); !errors.Is(err, context.Canceled) {
		t.Errorf("Send with an ended context: %v", err)
	}
	if err := recv(c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Recv: %v", err)
	}
	if _, err := c.Recv(t.Context()); err == nil {
		t.Error("the client is still open")
	}

	channel := open(t, dialMux(t, serveMux(t, muxOptions())), zws.ChannelOptions{Route: "/echo"})
	if err := recv(channel); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Recv of a channel: %v", err)
	}
	roundTrip(t, channel, "still open")
}
