package zws_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// mux returns the frame f of ZWSMUX1.0 as a WebSocket message.
func mux(f muxframe.Frame) []byte { return frame(0x82, string(f.Append(nil))) }

// muxMessages returns messages of one frame on channel 1.
func muxMessages(texts ...string) []byte {
	f := muxframe.Frame{Op: muxframe.Messages, Channel: 1}
	for _, text := range texts {
		f.Messages = muxframe.AppendMessage(f.Messages, message(text))
	}
	return mux(f)
}

// sentBeforeTheEnd is a client that sends 1, 2 and 3 and closes.
type sentBeforeTheEnd struct {
	name, offer string
	login       []byte
	send        [][]byte
	hangUp      bool // without a close frame
}

func clientsThatEnd() []sentBeforeTheEnd {
	closeFrame := frame(0x88, "\x03\xe8")
	login := frame(0x82, "\x01\x04NULL")
	open := mux(muxframe.Frame{Op: muxframe.Open, Channel: 1, Number: 1000, Open: muxframe.Request{SocketType: zmtp.DEALER}})
	closeChannel := mux(muxframe.Frame{Op: muxframe.Close, Channel: 1, Code: 1000})
	return []sentBeforeTheEnd{
		{"ZWS2.0", "ZWS2.0", frame(0x82, "\x00"), [][]byte{frame(0x82, "\x001"), frame(0x82, "\x002"), frame(0x82, "\x003"), closeFrame}, false},
		{"JSON", "ZWSJSON1.0", frame(0x81, `{"op":"login"}`), [][]byte{
			frame(0x81, `{"op":"send","frames":["1"]}`), frame(0x81, `{"op":"send","frames":["2"]}`), frame(0x81, `{"op":"send","frames":["3"]}`), closeFrame,
		}, false},
		{"a channel", "ZWSMUX1.0", login, [][]byte{open, muxMessages("1", "2"), muxMessages("3"), closeChannel}, false},
		{"a connection with a channel", "ZWSMUX1.0", login, [][]byte{open, muxMessages("1"), muxMessages("2", "3"), closeFrame}, false},
		{"both", "ZWSMUX1.0", login, [][]byte{open, muxMessages("1", "2", "3"), closeChannel, closeFrame}, false},
		{"a connection that breaks", "ZWSMUX1.0", login, [][]byte{open, muxMessages("1", "2", "3")}, true},
	}
}

// run sends everything. The server may stop reading.
func (c *sentBeforeTheEnd) run(p *raw) {
	for _, data := range append([][]byte{c.login}, c.send...) {
		if _, err := p.conn.Write(data); err != nil {
			p.t.Error(err)
			return
		}
	}
	if c.hangUp {
		time.Sleep(time.Second) // of the bubble's clock: a pipe takes no answer any more
		p.conn.Close()
	}
}

// ending is what a server has of a client that ends.
type ending struct {
	channel *zws.Channel
	got     []string
	cause   *zws.CloseError
	over    chan struct{}
}

// serveEnding calls handle with each message of the client's only channel, by Serve or by ReadMessage.
func serveEnding(t *testing.T, conn *zws.Conn, multiplexed, byServe bool, handle func(*ending) error) *ending {
	e := &ending{channel: conn.Channel(), over: make(chan struct{})}
	record := func(m zmtp.Message) error {
		e.got = append(e.got, string(m[0]))
		return handle(e)
	}
	ended := func() {
		e.cause = e.channel.Cause()
		e.channel.Close(nil)
		close(e.over)
	}
	read := func() {
		if byServe {
			e.channel.Serve(record, ended)
			return
		}
		go func() {
			for {
				m, err := e.channel.ReadMessage()
				if err == nil {
					err = record(m)
				}
				if err != nil {
					e.channel.Close(err)
					ended()
					return
				}
			}
		}()
	}
	open := func(p *zws.PendingChannel) {
		c, err := p.Accept(zws.AcceptOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		e.channel = c
		read()
	}
	switch {
	case !multiplexed:
		read()
	case byServe:
		conn.ServeChannels(open, func() {})
	default:
		go func() {
			for {
				p, err := conn.NextChannel(context.Background())
				if err != nil {
					return
				}
				open(p)
			}
		}()
	}
	return e
}

// testEnding accepts c, whose messages handle gets.
func testEnding(t *testing.T, c *sentBeforeTheEnd, byServe bool, handle func(*ending) error, check func(*ending, *zws.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		o := muxOptions()
		o.PingInterval = -1
		p, done := acceptPipe(t, o, offering(c.offer))
		go func() { // the server's answers
			for {
				if _, _, err := p.receive(); err != nil {
					p.conn.Close()
					return
				}
			}
		}()
		go c.run(p)
		a := <-done
		if a.err != nil {
			t.Fatal(a.err)
		}
		e := serveEnding(t, a.conn, c.offer == "ZWSMUX1.0", byServe, handle)
		check(e, a.conn)
		a.conn.Close(nil)
		a.conn.Wait()
		<-e.over
	})
}

// TestSentBeforeTheEnd: whatever a client ends, its channel or the connection, the server reads all
// messages that it has sent before, however long the first one takes, and then the end.
func TestSentBeforeTheEnd(t *testing.T) {
	for _, c := range clientsThatEnd() {
		for _, byServe := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s serve=%t", c.name, byServe), func(t *testing.T) {
				slow := func(e *ending) error {
					select {
					case <-time.After(3 * time.Second): // of the bubble's clock; the three together within WriteTimeout
						return nil
					case <-e.channel.Context().Done():
						return e.channel.Cause()
					}
				}
				testEnding(t, &c, byServe, slow, func(e *ending, _ *zws.Conn) {
					<-e.over
					if got := strings.Join(e.got, " "); got != "1 2 3" {
						t.Errorf("the server has read %q, want 1 2 3", got)
					}
					if e.cause == nil || e.cause.Code != 1000 && !c.hangUp {
						t.Errorf("the end is %v, want 1000", e.cause)
					}
				})
			})
		}
	}
}

// TestNotTakenBeforeTheEnd: a server that does not take what a client has sent before it closed gives
// up after WriteTimeout, or at once if the handler fails or the connection is closed.
func TestNotTakenBeforeTheEnd(t *testing.T) {
	for _, c := range clientsThatEnd()[2:] {
		for _, byServe := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s serve=%t", c.name, byServe), func(t *testing.T) {
				stuck := func(e *ending) error {
					<-e.channel.Context().Done()
					return e.channel.Cause()
				}
				start := time.Now()
				testEnding(t, &c, byServe, stuck, func(e *ending, conn *zws.Conn) {
					start = time.Now()
					<-e.over
					waited, want := time.Since(start), zws.DefaultWriteTimeout
					if c.hangUp {
						want += time.Second // before it does
					}
					if waited != want {
						t.Errorf("ended after %v, want %v", waited, want)
					}
					if e.cause == nil || !strings.Contains(e.cause.Reason, "not taken in time") {
						t.Errorf("the end is %v", e.cause)
					}
					if c.name == "a channel" {
						return // the connection stays
					}
					if conn.Wait(); !strings.Contains(conn.Cause().Reason, "not taken in time") {
						t.Errorf("the client is told %v", conn.Cause())
					}
				})
				testEnding(t, &c, byServe, stuck, func(e *ending, conn *zws.Conn) {
					start = time.Now()
					synctest.Wait()
					conn.Close(&zws.CloseError{Code: 1001})
					<-e.over
					if waited := time.Since(start); waited != 0 || e.cause == nil || e.cause.Code != 1001 {
						t.Errorf("ended after %v with %v, want 1001 at once", waited, e.cause)
					}
				})
				refuse := func(*ending) error { return &zws.CloseError{Code: 4403} }
				testEnding(t, &c, byServe, refuse, func(e *ending, _ *zws.Conn) {
					if <-e.over; len(e.got) != 1 || e.cause.Code != 4403 {
						t.Errorf("the server has read %q until %v, want one message and 4403", e.got, e.cause)
					}
				})
			})
		}
	}
}
