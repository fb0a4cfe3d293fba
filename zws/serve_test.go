package zws_test

import (
	"errors"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// newPoller returns a Poller on systems that have one.
func newPoller(t testing.TB) *zws.Poller {
	p, err := zws.NewPoller()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// served is a connection that Serve reads.
type served struct {
	conn  *zws.Conn
	queue *queue
	ended chan struct{}
}

// serveAll starts a server that echoes by Serve.
func serveAll(t testing.TB, o zws.Options, start func(*httptest.Server)) (*server, chan *served) {
	all := make(chan *served, 10_000)
	s := serveWith(t, o, start, accept, func(conn *zws.Conn) {
		v := &served{conn, &queue{channel: conn.Channel()}, make(chan struct{})}
		conn.Channel().Attach(v.queue)
		conn.Channel().Serve(func(m zmtp.Message) error {
			if string(m[0]) == "fail" {
				return &zws.CloseError{Code: 4403, Reason: "you asked for it"}
			}
			v.queue.put(m)
			return nil
		}, func() { close(v.ended) })
		all <- v
		<-v.ended
		conn.Wait()
	})
	return s, all
}

// parked waits until no reader is left. Only the stacks show that from outside.
func parked(t *testing.T) {
	t.Helper()
	buffer := make([]byte, 1<<20)
	for range 10_000 {
		stacks := string(buffer[:runtime.Stack(buffer, true)])
		if !strings.Contains(stacks, "zws.(*Conn).serve(") {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the reader stays")
}

// TestServe: an idle client has no reader. A reader starts when something arrives, and messages
// of any size are handled in order.
func TestServe(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){"ws": plain, "wss": tls} {
		for _, mechanism := range []string{"ZWS2.0/NULL", "ZWS2.0/CURVE"} {
			t.Run(name+" "+mechanism, func(t *testing.T) {
				o := options()
				o.Poller = newPoller(t)
				s, all := serveAll(t, o, start)
				d := clients(&o, "user")[mechanism]
				if s.TLS != nil {
					d.TLS = s.Client().Transport.(*transport).TLSClientConfig
				}
				c, err := zws.Dial(t.Context(), s.url(), d)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				v := <-all
				for round := range 2 {
					parked(t)
					for i, size := range []int{0, 1, 200, 300, 20_000, 100_000} {
						want := numbered(round*10+i, size)
						if err := c.Send(t.Context(), want); err != nil {
							t.Fatal(err)
						}
						m, err := c.Recv(t.Context())
						if err != nil || len(m) != 2 || string(m[0]) != string(want[0]) || len(m[1]) != size {
							t.Fatalf("received %d frames, %d bytes, %v", len(m), m.Size(), err)
						}
					}
				}
				parked(t)
				c.Close()
				<-v.ended
				v.conn.Wait()
			})
		}
	}
}

// TestServeControl: pings are answered and pongs are noticed while the client is idle, whole or
// in pieces, and the reader ends again.
func TestServeControl(t *testing.T) {
	o := options()
	o.Poller = newPoller(t)
	s, all := serveAll(t, o, plain)
	p := s.dialRaw(t, "/", offering("WSNetMQ"))
	v := <-all
	pong := func(payload string) {
		t.Helper()
		if first, got, err := p.receive(); first != 0x8A || got != payload {
			t.Fatalf("received %02x %q, %v; want a pong %q", first, got, err, payload)
		}
	}
	parked(t)
	p.write(frame(0x89, "whole"))
	pong("whole")
	parked(t)
	p.write(concat(frame(0x8A, ""), frame(0x89, ""), frame(0x82, "\x01a"), frame(0x89, "between"), frame(0x82, "\x00b"), frame(0x8A, "x")))
	if first, _, err := p.receive(); first != 0x8A || err != nil {
		t.Fatalf("received %02x, %v; want a pong", first, err)
	}
	for {
		first, got, err := p.receive()
		if err != nil {
			t.Fatal(err)
		}
		if first == 0x82 && got == "\x00b" {
			break
		}
	}
	parked(t)
	ping := frame(0x89, strings.Repeat("p", 125))
	p.write(ping[:50])
	p.write(ping[50:])
	pong(strings.Repeat("p", 125))
	p.send("\x00next")
	p.expect("\x00next")
	parked(t)
	p.write(frame(0x89, strings.Repeat("p", 126)))
	p.expectClose(1002, "len > 125 for control")
	<-v.ended
}

// TestServeEnds: ended is called once, whatever ends the connection, idle or not.
func TestServeEnds(t *testing.T) {
	for name, end := range map[string]struct {
		do   func(p *raw, s *zws.Conn)
		code zws.Code
	}{
		"closed by its owner": {func(p *raw, s *zws.Conn) {
			s.Close(&zws.CloseError{Code: 4401})
			p.expectClose(4401, "")
		}, 4401},
		"closed by the client":    {func(p *raw, _ *zws.Conn) { p.write(frame(0x88, "\x03\xe8")) }, 1000},
		"the connection is lost":  {func(p *raw, _ *zws.Conn) { p.conn.Close() }, 1006},
		"the handler has refused": {func(p *raw, _ *zws.Conn) { p.send("\x00fail") }, 4403},
		"a defect":                {func(p *raw, _ *zws.Conn) { p.send("\x07") }, 1002},
	} {
		for _, idle := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				o := options()
				o.Poller = newPoller(t)
				s, all := serveAll(t, o, plain)
				p := s.dialRaw(t, "/", offering("WSNetMQ"))
				v := <-all
				if idle {
					parked(t)
				}
				end.do(p, v.conn)
				<-v.ended
				if got := v.conn.Cause().Code; got != end.code {
					t.Errorf("ended with %d, want %d", got, end.code)
				}
			})
		}
	}
}

// TestServeMany: many clients at once become idle and active again, and some leave.
func TestServeMany(t *testing.T) {
	o := options()
	o.Poller = newPoller(t)
	s, _ := serveAll(t, o, plain)
	var clients sync.WaitGroup
	for i := range 50 {
		clients.Go(func() {
			c, err := zws.Dial(t.Context(), s.url(), zws.DialOptions{SocketType: zmtp.DEALER})
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for n := range 4 {
				want := numbered(i, n*1000)
				if err := c.Send(t.Context(), want); err != nil {
					t.Error(err)
					return
				}
				if m, err := c.Recv(t.Context()); err != nil || m.Size() != want.Size() {
					t.Errorf("received %d bytes, %v", m.Size(), err)
					return
				}
				if (i+n)%3 == 0 {
					time.Sleep(time.Duration(20+5*n) * time.Millisecond) // some are parked, some just not
				}
			}
		})
	}
	clients.Wait()
}
