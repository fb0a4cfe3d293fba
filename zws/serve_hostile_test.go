package zws_test

import (
	"bytes"
	"context"
	crypto "crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// together is a connection that keeps what is written until it is told to send it in one write.
type together struct {
	net.Conn
	hold bool
	kept bytes.Buffer
}

func (c *together) Write(p []byte) (int, error) {
	if c.hold {
		return c.kept.Write(p)
	}
	return c.Conn.Write(p)
}

func (c *together) send(t *testing.T) {
	t.Helper()
	if _, err := c.Conn.Write(c.kept.Bytes()); err != nil {
		t.Fatal(err)
	}
	c.kept.Reset()
	c.hold = false
}

// dialTogether is dialRaw with TLS on a connection of type together.
func dialTogether(t *testing.T, s *server, header ...string) (*raw, *together) {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	below := &together{Conn: conn}
	t.Cleanup(func() { conn.Close() })
	return upgradeRaw(t, crypto.Client(below, &crypto.Config{InsecureSkipVerify: true}), "/", header...), below
}

// TestServeAfterControl: a message is handled that arrives with the pong of an idle client, in
// another record of TLS: it is not in the socket any more when the pong has been read.
func TestServeAfterControl(t *testing.T) {
	o := options()
	o.Poller = newPoller(t)
	s, all := serveAll(t, o, tls)
	p, below := dialTogether(t, s, offering("WSNetMQ"))
	<-all
	for range 3 {
		parked(t)
		below.hold = true
		p.write(frame(0x8A, "a pong"))
		p.write(frame(0x82, "\x00message"))
		below.send(t)
		p.expect("\x00message")
	}
}

// TestServeAfterTimeout: a read that brings both data and a timeout, as one of TLS can, does not
// leave the timeout in a reader that another client gets.
func TestServeAfterTimeout(t *testing.T) {
	o := options()
	o.Poller = newPoller(t)
	o.HandshakeTimeout = 500 * time.Millisecond
	s, all := serveAll(t, o, tls)
	good, _ := dialTogether(t, s, offering("WSNetMQ"))
	<-all
	const hostile = 8
	for range hostile {
		p, below := dialTogether(t, s, offering("ZWS2.0"))
		below.hold = true
		p.write(frame(0x82, "\x00me")) // the routing id
		below.kept.WriteByte(21)       // the first byte of an alert, whose rest crypto/tls waits for
		below.send(t)
	}
	for range hostile {
		<-all
	}
	for range 10 {
		parked(t)
		good.send("\x00message")
		good.expect("\x00message")
	}
}

// TestBufferedObject: a PING that has arrived behind a message is not taken for another message, for
// which a handler would hold back the one before.
func TestBufferedObject(t *testing.T) {
	buffered := make(chan bool, 1)
	s := serveWith(t, options(), plain, accept, func(conn *zws.Conn) {
		ended := make(chan struct{})
		conn.Channel().Serve(func(zmtp.Message) error {
			buffered <- conn.Channel().Buffered()
			return nil
		}, func() { close(ended) })
		<-ended
		conn.Wait()
	})
	p := s.dialJSON(t)
	p.say(`{"op":"login"}`)
	p.hear(jsonReady)
	p.write(concat(frame(0x81, `{"op":"send","frames":["a"]}`), frame(0x81, `{"op":"ping"}`)))
	if <-buffered {
		t.Error("another message is said to have arrived")
	}
	p.hear(`{"op":"pong"}`)
}

// TestBufferedEncrypted: of encrypted frames behind a message it is known whether they are another
// one: neither commands nor the beginning of a message, for which a handler would hold back the one
// before. What is wrong with them ends the connection once that message was handled.
func TestBufferedEncrypted(t *testing.T) {
	type handled struct {
		first string
		more  bool
	}
	all := make(chan handled, 10)
	o := options()
	o.Poller = newPoller(t)
	s := serveWith(t, o, plain, accept, func(conn *zws.Conn) {
		ended := make(chan struct{})
		conn.Channel().Serve(func(m zmtp.Message) error {
			all <- handled{string(m[0]), conn.Channel().Buffered()}
			return nil
		}, func() { close(ended) })
		<-ended
		conn.Wait()
		close(all)
	})
	var below *together
	dial := clients(&o, "200")["ZWS2.0/CURVE"]
	dial.NetDial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		below = &together{Conn: conn}
		return below, err
	}
	c, err := zws.Dial(t.Context(), s.url(), dial)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	expect := func(want ...handled) {
		t.Helper()
		for _, h := range want {
			if got := <-all; got != h {
				t.Errorf("handled %+v, want %+v", got, h)
			}
		}
	}
	send := func(frames ...string) {
		t.Helper()
		if err := c.Send(t.Context(), message(frames...)); err != nil {
			t.Fatal(err)
		}
	}
	command := func(body string) {
		t.Helper()
		if err := c.SendCommand(t.Context(), body); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		below.hold = true
		send("a")
		command("\x04PING\x00\x00")
		send("b", "more")
		command("\x07UNKNOWN")
		send("c")
		command("\x04PING\x00\x00")
		below.send(t)
		expect(handled{"a", true}, handled{"b", true}, handled{"c", false})

		below.hold = true
		send("d")
		send("e", "more")
		last := below.kept.Len() - 1
		rest := below.kept.Bytes()[last]
		below.kept.Truncate(last)
		below.send(t)
		expect(handled{"d", false})
		below.hold = true
		below.kept.WriteByte(rest)
		below.send(t)
		expect(handled{"e", false})
	}
	below.hold = true
	send("f")
	command("\x04PING")
	below.send(t)
	expect(handled{"f", false})
	if h, ok := <-all; ok {
		t.Errorf("handled %+v behind a wrong PING", h)
	}
	if _, err := c.Recv(t.Context()); zws.Cause(err).Code != zws.CodeProtocol {
		t.Errorf("the connection ended with %v", err)
	}
}
