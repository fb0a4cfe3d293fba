package zws

import (
	"slices"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
)

// FuzzMuxServer: whatever a logged-in client sends, the connection continues or ends with a
// fitting code, and no channel uses more memory than its credit allows.
func FuzzMuxServer(f *testing.F) {
	v := readVectors(f)
	for i := range v.Mux {
		f.Add([]byte(v.Mux[i].Bytes), []byte(v.Mux[(i+1)%len(v.Mux)].Bytes), []byte(v.Invalid[i%len(v.Invalid)].Bytes))
	}
	open := muxframe.Frame{Op: muxframe.OpenHistory, Channel: 1, Number: 100, Open: muxframe.Request{History: true}}
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		m := newFuzzedMux(t)
		defer m.conn.life.end(Cause(nil))
		for i, p := range [][]byte{open.Append(nil), one, two, three} {
			frame, err := muxframe.Parse(p)
			switch {
			case err != nil:
				err = muxError(err)
			case frame.Op == muxframe.Open, frame.Op == muxframe.Relay, frame.Op == muxframe.OpenHistory:
				var ch *muxChannel
				if ch, err = m.open(&frame); i == 0 {
					ch.opened(muxframe.Frame{Op: muxframe.OpenedHistory})
				}
			case frame.Op != muxframe.Login:
				err = m.handle(&frame, pooled{data: p})
			}
			if err != nil {
				switch code := Cause(err).Code; code {
				case CodeProtocol, CodeTooLarge:
				default:
					t.Errorf("%x: %v", p, err)
				}
				break
			}
		}
		m.mu.Lock()
		channels := slices.Clone(m.channels)
		m.mu.Unlock()
		defer func() { // what waits can be read
			for _, c := range channels {
				for message, r := c.take(); message != nil || r != nil; {
					message, r = c.take()
				}
			}
		}()
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, c := range m.channels {
			number := c.number
			if c.requests.bytes > maxControl+len(one)+len(two)+len(three)+3*requestCost {
				t.Errorf("channel %d: %d bytes of requests", number, c.requests.bytes)
			}
			if number == 0 || number > m.last || int64(len(c.inbox)) > muxWindow+m.conn.maxMessage.Load()+4 || c.credit > muxframe.MaxCredit {
				t.Errorf("channel %d of %d: %d bytes, credit %d", number, m.last, len(c.inbox), c.credit)
			}
		}
		if len(m.channels) > m.options.maxChannels {
			t.Errorf("%d channels", len(m.channels))
		}
	})
}

// newFuzzedMux returns the mux of a Conn without a network, whose channels are opened and not
// read.
func newFuzzedMux(t *testing.T) *mux {
	c := &Conn{dialect: dialects["ZWSMUX1.0"]}
	c.maxMessage.Store(1000)
	c.maxFrames.Store(10)
	c.out.state.Store(ended) // nothing is written
	c.login.Store(&Login{Reply: &zap.Reply{}})
	return &mux{conn: c, options: (&Options{MaxChannels: 2}).kept()}
}

// TestMuxControlLimit: a client that does not read the answers to its requests cannot fill
// the server's memory with them.
func TestMuxControlLimit(t *testing.T) {
	m := newFuzzedMux(t)
	answer := closing(1, &CloseError{Code: CodeNoRoute, Reason: "route not found"})
	for range 2 * maxControl / len(answer.WebSocket()) {
		m.send(answer)
	}
	if n := m.conn.out.answers(); n <= maxControl || n > maxControl+len(answer.WebSocket()) {
		t.Errorf("%d bytes wait", n)
	}
	if cause := m.conn.Cause(); cause == nil || cause.Code != CodeTooSlow {
		t.Errorf("ended with %v", cause)
	}
}
