package backend

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// publishes completes a NULL handshake as a PUB, writes sent, and closes the connection or waits
// until the other side does.
func publishes(sent string, hangUp bool) func(net.Conn) {
	ready := "\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB"
	return func(c net.Conn) {
		defer c.Close()
		c.Write(greeting("NULL"))
		io.WriteString(c, "\x04"+string(rune(len(ready)))+ready+sent)
		io.ReadFull(c, make([]byte, 64+2+len(ready)))
		if !hangUp {
			io.Copy(io.Discard, c)
		}
	}
}

// TestMisbehavingBackends has one defect each after the login. The backend must lose its
// connection, the reason must be reported, and a good backend must still be served.
func TestMisbehavingBackends(t *testing.T) {
	for name, c := range map[string]struct {
		sent   string
		hangUp bool
		want   error
	}{
		"frame over the limit":   {"\x02\x7f\xff\xff\xff\xff\xff\xff\xff", false, zmtp.ErrTooLarge},
		"message over the limit": {strings.Repeat("\x01\xff"+strings.Repeat("x", 255), 5), false, zmtp.ErrTooLarge},
		"too many frames":        {strings.Repeat("\x01\x00", 6), false, zmtp.ErrTooLarge},
		"unknown flags":          {"\xf8\x01x", false, zmtp.ErrProtocol},
		"command without a name": {"\x04\x00", false, zmtp.ErrProtocol},
		"hangs up in a message":  {"\x01\x01x", true, io.ErrUnexpectedEOF},
		"never ends its message": {"\x01\x01x\x00\xff", false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			good := newNative(t, zmtp.PUB)
			o := options(zmtp.SUB, good)
			o.Limits = zmtp.Limits{Frame: 1000, Message: 1000, Frames: 5}
			o.Endpoints = append(o.Endpoints, at(raw(t, publishes(c.sent, c.hangUp)), zmtp.Null{}))
			reported := make(chan error, 1000)
			o.Event = func(s Status) {
				if s.Position == 2 && s.Err != nil {
					reported <- s.Err
				}
			}
			in := newInbox()
			dial(t, o, in)
			if c.want != nil {
				if err := receiveWithin(t, reported); !errors.Is(err, c.want) {
					t.Errorf("reported %v, want %v", err, c.want)
				}
			}
			good.accept().Write(message("still", "served"))
			want(t, in.next(t), "still|served")
		})
	}
}

// TestSilentBackend checks that a backend that does not answer PING is taken for lost and
// connected again.
func TestSilentBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newOutcomes(t)
		o := a.options(0)
		o.Heartbeat = time.Second
		events := make(chan Status, 100)
		o.Event = func(s Status) { events <- s }
		s, err := Dial(t.Context(), o, newInbox())
		if err != nil {
			t.Fatal(err)
		}
		<-events
		silent := <-a.served["one"] // is not read
		if lost := <-events; lost.State != Waiting || !errors.Is(lost.Err, zmtp.ErrSilent) {
			t.Errorf("event %+v, want that it is silent", lost)
		}
		alive := <-a.served["one"]
		silent.Close()
		go func() {
			for {
				if _, err := alive.ReadFrame(); err != nil {
					return
				}
			}
		}()
		time.Sleep(time.Minute)
		if status := s.Status()[0]; status.State != Connected || status.Reconnects != 1 {
			t.Errorf("status %+v, want that it is connected again and stays so", status)
		}
		s.Close()
		alive.Close()
	})
}

// TestUnreadBackend checks that a Send that waits for a backend that reads nothing returns when
// the socket's context ends, whether it waits in a write or for room in the queue.
func TestUnreadBackend(t *testing.T) {
	for _, endpoints := range []int{1, 2} { // with one, Send writes itself
		deaf := newNative(t, zmtp.PULL)
		o := options(zmtp.PUSH, slices.Repeat([]*native{deaf}, endpoints)...)
		o.HighWaterMark, o.Linger = 10, -1
		ctx, cancel := context.WithCancel(t.Context())
		s, err := Dial(ctx, o, newInbox())
		if err != nil {
			t.Fatal(err)
		}
		stuck := make(chan error, 1)
		go func() {
			big := zmtp.Message{make([]byte, 100<<10)}
			for {
				if err := s.Send(context.Background(), big); err != nil {
					stuck <- err
					return
				}
			}
		}()
		for range endpoints {
			deaf.accept()
		}
		cancel()
		if err := receiveWithin(t, stuck); !errors.Is(err, ErrClosed) {
			t.Errorf("%d endpoints: Send: %v, want ErrClosed", endpoints, err)
		}
		s.Close()
	}
}

// FuzzReceive gives each socket type messages that a peer may send.
func FuzzReceive(f *testing.F) {
	seeds := []zmtp.Message{
		message(""), message("", ""), message("", "x"), message("id", "", "x"), message("x"),
		message("\x01topic"), message("\x00topic"), message("\x02"), message("\x01", "x"),
		message("\x00number10", "", "x"), message("\x00number10"), message("\x00abcd", "x"),
	}
	for _, m := range seeds {
		f.Add(text(m))
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	f.Fuzz(func(t *testing.T, joined string) {
		var m zmtp.Message
		for _, frame := range strings.Split(joined, "|") {
			m = append(m, []byte(frame))
		}
		for _, s := range []zmtp.SocketType{zmtp.REQ, zmtp.REP, zmtp.DEALER, zmtp.ROUTER, zmtp.PUB, zmtp.SUB, zmtp.XPUB, zmtp.XSUB, zmtp.PUSH, zmtp.PULL, zmtp.PAIR} {
			for _, shared := range []bool{false, true} {
				o := Options{SocketType: s}
				if err := o.setDefaults(); err != nil {
					t.Fatal(err)
				}
				c := newCore(o, shared)
				in := newInbox()
				st, err := c.attach(in, AttachOptions{})
				if err != nil {
					t.Fatal(err)
				}
				p := &peer{core: c, id: "peer", askers: map[string]*stream{"\x00number10": st}}
				c.peers = append(c.peers, p)
				if err := c.pattern.receive(p, clone(m)); err != nil && !errors.Is(err, zmtp.ErrTooLarge) {
					t.Errorf("%s: %v", s, err)
				}
				p.flush()
				for len(in.arrived) > 0 {
					if got := <-in.arrived; len(got) == 0 || len(got) > len(m)+1 {
						t.Errorf("%s: received %q of %q", s, got, m)
					}
				}
				c.detach(st)
			}
		}
	})
}
