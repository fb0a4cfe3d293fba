package zws_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// playlist is a Source of what a test has a server send.
type playlist struct {
	channel *zws.Channel
	mu      sync.Mutex
	steps   []func(*zws.Batch)
}

func (s *playlist) put(steps ...func(*zws.Batch)) {
	s.mu.Lock()
	s.steps = append(s.steps, steps...)
	s.mu.Unlock()
	s.channel.Wake()
}

func (s *playlist) Next(b *zws.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.steps) > 0 && !b.Full() {
		s.steps[0](b)
		s.steps = s.steps[1:]
	}
}

// historian serves clients that ask for history: it notes what they send, in order, and sends
// what the test puts into out.
type historian struct {
	heard chan string
	out   chan *playlist // of each channel that was opened
	// refuse, if not nil, is what requests are refused with.
	refuse error
}

func newHistorian() *historian {
	return &historian{heard: make(chan string, 1000), out: make(chan *playlist, 10)}
}

func (h *historian) accept(kept bool) zws.AcceptOptions {
	return zws.AcceptOptions{
		History: kept,
		Request: func(_ context.Context, r *zws.HistoryRequest) error {
			name := map[zws.HistoryOp]string{zws.HistoryResume: "resume", zws.HistoryAck: "ack", zws.HistoryLast: "last"}[r.Op]
			h.heard <- fmt.Sprintf("%s %q at %q", name, r.Topics, r.At)
			return h.refuse
		},
		Confirmed: func(token uint64) { h.heard <- fmt.Sprint("confirmed ", token) },
	}
}

func (h *historian) run(c *zws.Channel) error {
	s := &playlist{channel: c}
	c.Attach(s)
	h.out <- s
	for {
		m, err := c.ReadMessage()
		if err != nil {
			return err
		}
		h.heard <- fmt.Sprintf("%q", [][]byte(m))
	}
}

var historianKey, historianSecret = keyPair()

// serve starts a server of clients with one channel, and of any number.
func (h *historian) serve(t testing.TB, kept bool) *server {
	o := options()
	o.Announce, o.Untyped = zmtp.PUB, zmtp.SUB
	o.CurvePublic, o.CurveSecret = historianKey, historianSecret
	o.Multiplex = true
	o.ClientTypes = append(o.ClientTypes, zmtp.SUB)
	return serveWith(t, o, plain, acceptWith(h.accept(kept)), func(conn *zws.Conn) {
		defer conn.Wait()
		if !conn.Login().Multiplexed {
			_ = h.run(conn.Channel())
			return
		}
		var channels sync.WaitGroup
		defer channels.Wait()
		for {
			p, err := conn.NextChannel(context.Background())
			if err != nil {
				return
			}
			channels.Go(func() {
				if p.Request().Route == "/wait" {
					<-p.Context().Done()
				}
				if c, err := p.Accept(h.accept(kept)); err == nil {
					c.Close(h.run(c))
				}
			})
		}
	})
}

// expect checks what clients have sent.
func (h *historian) expect(t testing.TB, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-h.heard:
			if got != w {
				t.Fatalf("the server got %s, want %s", got, w)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("the server did not get %s", w)
		}
	}
}

// nothingElse checks that clients have sent nothing more by now.
func (h *historian) nothingElse(t testing.TB) {
	t.Helper()
	select {
	case got := <-h.heard:
		t.Errorf("the server got %s", got)
	default:
	}
}

func property(name, value string) string {
	return fmt.Sprintf("%c%s\x00\x00\x00%c%s", len(name), name, len(value), value)
}

// when is the time of replayed messages.
var when = time.Date(2026, 11, 30, 5, 0, 0, 1000, time.UTC)

const (
	whenNumber = "\x00\x06\x61\x77\x48\x2a\x54\x01"
	whenText   = "2026-11-30T05:00:00.000001Z"
)

// replay is what a server sends in these tests.
func replay(b *zws.Batch) {
	b.Resumed([]byte("p0"), true, false)
	b.Replayed(message("a", "1"), []byte("p1"), when)
	b.Live([]byte("p1"))
	b.Message(message("a", "2"), []byte("p\xff"))
	b.Message(message("b"), nil)
	b.Resumed(nil, false, true)
	b.Live(nil)
}

// pubMetadata is what the server says about itself.
const pubMetadata = "\x0bSocket-Type\x00\x00\x00\x03PUB\x08Identity\x00\x00\x00\x02us"

// historyWire are the bytes of one dialect.
type historyWire struct {
	offer string
	kind  byte
	// login are pairs of what the client sends and the server answers, if it asks for history
	// and the route keeps one; without if the route keeps none, queue with the queue "q".
	login, without, queue []string
	resume, ack, last     string
	subscribe             string
	replay                []string
	// unmarked is replay on a route without a history.
	unmarked []string
}

var historyWires = []historyWire{
	{
		offer: "ZWS2.0+NULL", kind: 0x82,
		login:     []string{"\x02\x05READY" + property("Socket-Type", "SUB") + property("History", "1"), "\x02\x05READY" + pubMetadata + property("History", "1")},
		without:   []string{"\x02\x05READY" + property("Socket-Type", "SUB") + property("History", "1"), "\x02\x05READY" + pubMetadata},
		queue:     []string{"\x02\x05READY" + property("Socket-Type", "SUB") + property("Queue", "q"), "\x02\x05READY" + pubMetadata + property("History", "1")},
		resume:    "\x02\x06RESUME\x02p0\x00\x02a/\x00\x00",
		ack:       "\x02\x03ACK\x02p1",
		last:      "\x02\x04LASTc/",
		subscribe: "\x00\x01b/",
		replay: []string{
			"\x02\x07RESUMED\x01\x02p0",
			"\x02\x02AT\x02p1" + whenNumber, "\x01a", "\x001",
			"\x02\x04LIVE\x02p1",
			"\x02\x02AT\x02p\xff", "\x01a", "\x002",
			"\x00b",
			"\x02\x07RESUMED\x02\x00",
			"\x02\x04LIVE\x00",
		},
		unmarked: []string{
			"\x02\x07RESUMED\x01\x02p0", "\x01a", "\x001", "\x02\x04LIVE\x02p1", "\x01a", "\x002", "\x00b",
			"\x02\x07RESUMED\x02\x00", "\x02\x04LIVE\x00",
		},
	},
	{
		offer: "ZWSJSON1.0", kind: 0x81,
		login:     []string{`{"op":"login","history":true}`, `{"op":"ready","history":true}`},
		without:   []string{`{"op":"login","history":true}`, `{"op":"ready"}`},
		queue:     []string{`{"op":"login","queue":"q"}`, `{"op":"ready","history":true}`},
		resume:    `{"op":"resume","topics":["a/",""],"at":"cDA"}`,
		ack:       `{"op":"ack","at":"cDE"}`,
		last:      `{"op":"subscribe","topic":"c/","last":true}`,
		subscribe: `{"op":"subscribe","topic":"b/","last":false}`,
		replay: []string{
			`{"op":"resumed","recovered":true,"gap":false,"at":"cDA"}`,
			`{"op":"message","frames":["a","1"],"at":"cDE","time":"` + whenText + `"}`,
			`{"op":"live","at":"cDE"}`,
			`{"op":"message","frames":["a","2"],"at":"cP8"}`,
			`{"op":"message","frames":["b"]}`,
			`{"op":"resumed","recovered":false,"gap":true,"at":""}`,
			`{"op":"live","at":""}`,
		},
		unmarked: []string{
			`{"op":"resumed","recovered":true,"gap":false,"at":"cDA"}`,
			`{"op":"message","frames":["a","1"]}`,
			`{"op":"live","at":"cDE"}`,
			`{"op":"message","frames":["a","2"]}`,
			`{"op":"message","frames":["b"]}`,
			`{"op":"resumed","recovered":false,"gap":true,"at":""}`,
			`{"op":"live","at":""}`,
		},
	},
	{
		offer: "ZWSMUX1.0", kind: 0x82,
		login: []string{
			"\x01\x04NULL", "\x02\x00\x00\x00\x64",
			muxOpen + "\x00\x00", "\x0e\x00\x00\x00\x07\x00\x01\x00\x00\x01",
		},
		without: []string{
			"\x01\x04NULL", "\x02\x00\x00\x00\x64",
			muxOpen + "\x00\x00", "\x0e\x00\x00\x00\x07\x00\x01\x00\x00\x00",
		},
		queue: []string{
			"\x01\x04NULL", "\x02\x00\x00\x00\x64",
			muxOpen + "\x01\x01q", "\x0e\x00\x00\x00\x07\x00\x01\x00\x00\x01",
		},
		resume:    "\x10\x00\x00\x00\x07\x02p0\x00\x02a/\x00\x00",
		ack:       "\x13\x00\x00\x00\x07\x02p1",
		last:      "\x14\x00\x00\x00\x07c/",
		subscribe: "\x05\x00\x00\x00\x07\x00\x00\x00\x07\x00\x00\x00\x03\x01b/",
		replay: []string{
			"\x11\x00\x00\x00\x07\x01\x02p0",
			"\x0f\x00\x00\x00\x07\x02p1" + whenNumber + "\x00\x00\x00\x0a\x00\x00\x00\x01a\x00\x00\x00\x011",
			"\x12\x00\x00\x00\x07\x02p1",
			"\x0f\x00\x00\x00\x07\x02p\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x00\x01a\x00\x00\x00\x012" +
				"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x01b",
			"\x11\x00\x00\x00\x07\x02\x00",
			"\x12\x00\x00\x00\x07\x00",
		},
		unmarked: []string{
			"\x11\x00\x00\x00\x07\x01\x02p0",
			"\x05\x00\x00\x00\x07\x00\x00\x00\x0a\x00\x00\x00\x01a\x00\x00\x00\x011",
			"\x12\x00\x00\x00\x07\x02p1",
			"\x05\x00\x00\x00\x07\x00\x00\x00\x0a\x00\x00\x00\x01a\x00\x00\x00\x012" +
				"\x00\x00\x00\x05\x00\x00\x00\x01b",
			"\x11\x00\x00\x00\x07\x02\x00",
			"\x12\x00\x00\x00\x07\x00",
		},
	},
}

// muxOpen opens channel 7 with much credit, up to the flags.
const muxOpen = "\x0d\x00\x00\x00\x07\x00\x04\x00\x00\x03SUB\x00\x00\x02/a"

// dial connects and logs in.
func (w *historyWire) dial(t testing.TB, s *server, login []string) *raw {
	t.Helper()
	p := s.dialRaw(t, "/", offering(w.offer))
	for i := 0; i < len(login); i += 2 {
		p.write(frame(w.kind, login[i]))
		w.hear(p, login[i+1])
	}
	return p
}

func (w *historyWire) hear(p *raw, want ...string) {
	p.t.Helper()
	for _, want := range want {
		first, got, err := p.receive()
		if err != nil || first != w.kind || got != want {
			p.t.Fatalf("%s: received %02x %q, %v; want %02x %q", w.offer, first, got, err, w.kind, want)
		}
	}
}

// TestHistoryBytes: what goes over the WebSocket in each dialect, both directions, if the client
// asks for history.
func TestHistoryBytes(t *testing.T) {
	for _, w := range historyWires {
		t.Run(w.offer, func(t *testing.T) {
			h := newHistorian()
			s := h.serve(t, true)
			p := w.dial(t, s, w.login)
			conn := (<-s.accepted).conn
			out := <-h.out
			if l := out.channel.Login(); !l.History || l.Queue != nil {
				t.Errorf("login: history %v, queue %v", l.History, l.Queue)
			}
			for _, sent := range []string{w.resume, w.subscribe, w.ack, w.last} {
				p.write(frame(w.kind, sent))
			}
			h.expect(t, `resume ["a/" ""] at "p0"`, `["\x01b/"]`, `ack [] at "p1"`, `last ["c/"] at ""`)
			out.put(replay)
			w.hear(p, w.replay...)
			codec, ok := out.channel.Codec()
			if early, _ := out.channel.Login().Codec(true); !ok || early != codec {
				t.Error("the codec of the login is not that of the channel")
			}
			if plain, _ := out.channel.Login().Codec(false); plain == codec {
				t.Error("one codec with positions and without")
			}
			shared := codec.AppendMessage(codec.AppendMessage(nil, message("x"), []byte("p2")), message("y"), nil)
			out.put(func(b *zws.Batch) { b.Encoded(shared) })
			one := w.read(p, len(shared))
			out.put(func(b *zws.Batch) { b.Message(message("x"), []byte("p2")); b.Message(message("y"), nil) })
			if other := w.read(p, len(shared)); one != other {
				t.Errorf("shared with others %q, for itself %q", one, other)
			}
			h.nothingElse(t)
			conn.Close(nil)
		})
	}
}

// read reads what two messages are, whose codec needed size bytes.
func (w *historyWire) read(p *raw, size int) (all string) {
	p.t.Helper()
	for n := 0; n < size; {
		_, got, err := p.receive()
		if err != nil {
			p.t.Fatal(err)
		}
		all += got
		n += 2 + len(got)
		if w.offer == "ZWSMUX1.0" {
			n -= 7 // the header of the mux frame
		}
	}
	return strings.ReplaceAll(all, "\x0f\x00\x00\x00\x07", "")
}

// TestHistoryQueue: a client that names a queue has asked for history.
func TestHistoryQueue(t *testing.T) {
	for _, w := range historyWires {
		t.Run(w.offer, func(t *testing.T) {
			h := newHistorian()
			s := h.serve(t, true)
			p := w.dial(t, s, w.queue)
			out := <-h.out
			if l := out.channel.Login(); !l.History || l.Queue == nil || *l.Queue != "q" {
				t.Errorf("login: history %v, queue %v", l.History, l.Queue)
			}
			p.write(frame(w.kind, w.subscribe))
			p.write(frame(w.kind, w.ack))
			h.expect(t, `["\x01b/"]`, `ack [] at "p1"`)
			p.write(frame(w.kind, w.resume))
			w.expectFault(p, "resume with a named queue: the server resumes it by itself")
		})
	}
}

// expectFault reads the end of the connection, or of channel 7, with 1002.
func (w *historyWire) expectFault(p *raw, reason string) {
	p.t.Helper()
	switch w.offer {
	case "ZWSJSON1.0":
		p.hearError(1002, reason)
	case "ZWSMUX1.0":
		p.expect("\x07\x00\x00\x00\x07\x03\xea" + reason)
	default:
		p.expectClose(1002, reason)
	}
}
