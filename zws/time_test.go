package zws_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// TestHandshakeDeadline: all waits for the client together have one deadline, whether it sends
// nothing or a byte now and then; the time of the ZAP handler and of the pending login does not
// count.
func TestHandshakeDeadline(t *testing.T) {
	hello := frame(0x82, "\x02\x05HELLO\x05alice\x06secret")
	tests := []struct {
		name string
		send func(p *raw)
	}{
		{"silent", func(*raw) {}},
		{"one byte per second", func(p *raw) {
			for _, b := range hello {
				if _, err := p.conn.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}},
		{"silent after WELCOME", func(p *raw) {
			time.Sleep(9 * time.Second)
			p.write(hello)
		}},
		{"pings only", func(p *raw) {
			for range 20 {
				if _, err := p.conn.Write(frame(0x89, "")); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options()
				o.Handler = zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
					time.Sleep(time.Minute) // does not count
					return &zap.Reply{Status: zap.OK}, nil
				})
				p, done := acceptPipe(t, o, offering("ZWS2.0+PLAIN"))
				var sender sync.WaitGroup
				sender.Go(func() { test.send(p) })
				defer sender.Wait()
				for {
					first, payload, err := p.receive()
					if err != nil {
						t.Fatal(err)
					}
					if first == 0x88 {
						if payload != "\x11\x38the handshake was not completed in time" { // 4408
							t.Errorf("closed with %q", payload)
						}
						break
					}
				}
				p.conn.Close()
				if a := <-done; zws.Cause(a.err).Code != 4408 {
					t.Errorf("Accept: %v", a.err)
				}
			})
		})
	}
}

// TestErrorFollowsHello: a client that is refused at the upgrade gets its ERROR after its HELLO,
// because libzmq takes an earlier one for a protocol fault; a silent client gets it after two
// seconds.
func TestErrorFollowsHello(t *testing.T) {
	for _, offered := range []string{"ZWS2.0/PLAIN", "ZWS2.0/CURVE", "ZWS2.0+BEARER"} {
		for _, silent := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s silent=%t", offered, silent), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					o := options()
					o.Mechanisms = []zap.Mechanism{zap.NULL}
					p, done := acceptPipe(t, o, offering(offered), "User-Agent: Go")
					told := make(chan struct{})
					go func() {
						defer close(told)
						p.expect("\x02\x05ERROR\x03400")
					}()
					synctest.Wait()
					select {
					case <-told:
						t.Error("ERROR before HELLO")
					default:
					}
					start := time.Now()
					if !silent {
						p.send("\x02\x05HELLO")
					}
					<-told
					if waited := time.Since(start); silent != (waited == 2*time.Second) {
						t.Errorf("ERROR came after %v", waited) // of the bubble's clock
					}
					if first, _, err := p.receive(); err != nil || first != 0x88 {
						t.Errorf("received %02x, %v; want a close frame", first, err)
					}
					p.conn.Close()
					if a := <-done; zws.Cause(a.err).Code != 4406 {
						t.Errorf("Accept: %v", a.err)
					}
				})
			})
		}
	}
}

// TestPings: on bare ZWS2.0 a client that has answered a ping must go on answering; one that
// never has need not.
func TestPings(t *testing.T) {
	for _, test := range []struct {
		name   string
		pong   string // how it is answered
		pongs  int    // how often
		closed bool
	}{
		{"never answers", "", 0, false},
		{"answers empty, as libzmq, then no more", "", 3, true},
		{"answers once", "", 1, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, done := acceptPipe(t, options(), offering("ZWS2.0"))
				p.send("\x00")
				p.expect("\x00us")
				conn := (<-done).conn
				go conn.Channel().ReadMessage()
				start := time.Now()
				pings := 0
				for pings < 10 {
					first, payload, err := p.receive()
					if err != nil {
						t.Fatal(err)
					}
					if first == 0x88 {
						break
					}
					if first != 0x89 {
						t.Fatalf("received %02x %q", first, payload)
					}
					if pings++; pings <= test.pongs {
						p.write(frame(0x8A, test.pong))
					}
				}
				if test.closed {
					want := time.Duration(test.pongs+3) * zws.DefaultPingInterval
					if got := time.Since(start); got != want || conn.Cause().Code != 4408 {
						t.Errorf("closed after %v with %v, want %v", got, conn.Cause(), want)
					}
				} else if conn.Cause() != nil {
					t.Errorf("closed: %v", conn.Cause())
				}
				conn.Close(nil)
				p.conn.Close()
				conn.Wait()
			})
		})
	}
}

// TestPingsWhileNotRead: a client that answers pings is not given up because the server does
// not read.
func TestPingsWhileNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := acceptPipe(t, options(), offering("WSNetMQ"))
		conn := (<-done).conn
		go p.write(append(frame(0x8A, ""), frame(0x82, "\x00one")...)) // counts as an answer
		if _, err := conn.Channel().ReadMessage(); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if first, _, err := p.receive(); first != 0x89 {
				t.Fatalf("received %02x, %v; want a ping", first, err)
			}
		}
		conn.Close(nil)
		p.conn.Close()
		conn.Wait()
	})
}

// TestSlowReader: a client that reads nothing for WriteTimeout and an eighth of it is given up,
// and does not delay others.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, done := acceptPipe(t, options(), offering("WSNetMQ"))
		conn := (<-done).conn
		q := &queue{channel: conn.Channel()}
		conn.Channel().Attach(q)
		start := time.Now()
		q.put(message("to nobody"))
		_, err := conn.Channel().ReadMessage()
		took := time.Since(start)
		if cause := zws.Cause(err); cause.Code != 4508 || took < zws.DefaultWriteTimeout || took > zws.DefaultWriteTimeout*9/8 {
			t.Errorf("%v after %v", err, took)
		}
		conn.Wait()
	})
}

// TestCloseWaits: after the close frame the client has two seconds to close its side.
func TestCloseWaits(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers bool
		reads   bool // the bridge is in ReadMessage
		want    time.Duration
	}{
		{"client closes", true, false, 0},
		{"client closes, reader", true, true, 0},
		{"client does not", false, false, 2 * time.Second},
		{"client does not, reader", false, true, 2 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, done := acceptPipe(t, options(), offering("WSNetMQ"))
				conn := (<-done).conn
				read := make(chan error, 1)
				if test.reads {
					go func() {
						_, err := conn.Channel().ReadMessage()
						read <- err
					}()
					synctest.Wait()
				}
				start := time.Now()
				conn.Close(&zws.CloseError{Code: 4403, Reason: "first"})
				conn.Close(&zws.CloseError{Code: 4404, Reason: "second"})
				<-conn.Context().Done()
				if first, payload, err := p.receive(); first != 0x88 || payload != "\x11\x33first" {
					t.Errorf("received %02x %q, %v", first, payload, err)
				}
				if test.answers {
					p.write(frame(0x88, "\x11\x33"))
					p.conn.Close()
				}
				conn.Wait()
				if got := time.Since(start); got != test.want {
					t.Errorf("closed after %v, want %v", got, test.want)
				}
				if test.reads {
					if err := <-read; zws.Cause(err).Reason != "first" {
						t.Errorf("ReadMessage: %v", err)
					}
				}
				p.conn.Close()
			})
		})
	}
}

// TestReadAfterTheEnd: reading a connection that has ended returns its cause at once.
func TestReadAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := acceptPipe(t, options(), offering("WSNetMQ"))
		conn := (<-done).conn
		go p.conn.Close()
		conn.Close(&zws.CloseError{Code: 4403})
		conn.Wait()
		for range 2 {
			if _, err := conn.Channel().ReadMessage(); zws.Cause(err).Code != 4403 {
				t.Errorf("ReadMessage: %v", err)
			}
		}
	})
}

// TestShutdownDuringLogin: the context given to Accept ends the login, not the connection.
func TestShutdownDuringLogin(t *testing.T) {
	opening := make(chan struct{})
	s := serveWith(t, options(), plain, after(func(ctx context.Context, _ *zws.Login) error {
		close(opening)
		<-ctx.Done()
		return context.Cause(ctx)
	}), echo)
	p := s.dialRaw(t, "/", offering("ZWS2.0+NULL"))
	p.send("\x02\x05READY" + dealerMetadata)
	<-opening
	s.cancel()
	p.expectClose(1001, "shutting down")
	if a := <-s.accepted; !errors.Is(a.err, context.Canceled) {
		t.Errorf("Accept: %v", a.err)
	}
}

// TestReasons: a reason is cut between characters to the size of a close frame.
func TestReasons(t *testing.T) {
	for _, test := range []struct{ reason, want string }{
		{"", ""},
		{strings.Repeat("x", 123), strings.Repeat("x", 123)},
		{strings.Repeat("x", 124), strings.Repeat("x", 123)},
		{strings.Repeat("x", 122) + "é", strings.Repeat("x", 122)},
		{strings.Repeat("€", 42), strings.Repeat("€", 41)},
		{"not \xff UTF-8", "not \uFFFD UTF-8"},
	} {
		synctest.Test(t, func(t *testing.T) {
			p, done := acceptPipe(t, options(), offering("WSNetMQ"))
			conn := (<-done).conn
			conn.Close(&zws.CloseError{Code: 4403, Reason: test.reason})
			if _, payload, err := p.receive(); payload[2:] != test.want {
				t.Errorf("%q: received %q, %v", test.reason, payload[2:], err)
			}
			p.conn.Close()
			conn.Wait()
		})
	}
}
