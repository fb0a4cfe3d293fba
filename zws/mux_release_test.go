package zws_test

import (
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
)

// oneMessage is a Source with one message. It closes released when the message is written.
type oneMessage struct {
	given, done bool // only the writer uses them
	released    chan struct{}
}

func (s *oneMessage) Next(b *zws.Batch) {
	if s.given && !s.done {
		s.done = true
		close(s.released)
	}
	if !b.Full() && !s.given {
		s.given = true
		b.Message(message(strings.Repeat("x", 100)), nil)
	}
}

// TestMuxRelease: a source lets go of what was written although the client gives no credit for
// more, and Granted counts what it gives.
func TestMuxRelease(t *testing.T) {
	source := &oneMessage{released: make(chan struct{})}
	opened := make(chan *zws.Channel, 1)
	m := dialMux(t, serveMuxWith(t, muxOptions(), func(p *zws.PendingChannel) {
		if p.Request().Route == "/refuse" {
			p.Reject(&zws.CloseError{Code: zws.CodeForbidden})
			return
		}
		c, err := p.Accept(zws.AcceptOptions{})
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close(nil)
		c.Attach(source)
		opened <- c
		<-c.Context().Done()
	}))
	client := open(t, m, zws.ChannelOptions{Route: "/one", Window: 1})
	c := <-opened
	<-source.released
	if n := c.Granted(); n != 0 {
		t.Errorf("%d bytes of credit before the client has given any", n)
	}
	if _, err := client.Recv(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Open(t.Context(), zws.ChannelOptions{Route: "/refuse"}); err == nil { // the credit arrives before
		t.Error("the channel was not refused")
	}
	if n := c.Granted(); n == 0 {
		t.Error("the credit of the client was not counted")
	}
}
