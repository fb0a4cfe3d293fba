package zmtp

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// discardLimits are hostileLimits, with messages that are discarded.
var discardLimits = Limits{Frame: 1000, Message: 1500, Frames: 4, Handshake: 500, Discard: 100_000}

// TestDiscard checks that a message over a limit is read and reported, in every mechanism, and
// that the messages around it arrive.
func TestDiscard(t *testing.T) {
	frames := func(sizes ...int) Message {
		var m Message
		for i, n := range sizes {
			m = append(m, []byte(strings.Repeat(string(rune('a'+i)), n)))
		}
		return m
	}
	for _, tc := range []struct {
		name    string
		message Message
		first   int // bytes of the first frame that the error has
	}{
		{"one frame", frames(1001), 1001},
		{"one large frame", frames(90_000), maxFirst},
		{"first of several", frames(5000, 3, 0), maxFirst},
		{"last of several", frames(3, 0, 5000), 0},
		{"in the middle, small ones after it", frames(3, 2000, 3, 4, 5, 6), 0},
		{"large ones after it", frames(3, 2000, 900, 9000, 5000), 0},
		{"sum", frames(1000, 501), 0},
		{"too many", frames(1, 1, 1, 1, 1), 0},
		{"far too many", frames(make([]int, 1000)...), 0},
	} {
		for _, l := range logins(t) {
			t.Run(fmt.Sprintf("%s, %s", tc.name, l.mechanism), func(t *testing.T) {
				c, s, err := overPipe(t, l, Options{SocketType: DEALER}, Options{SocketType: DEALER, Limits: discardLimits})
				if err != nil {
					t.Fatal(err)
				}
				written := make(chan error, 1)
				go func() {
					written <- errors.Join(c.Write(frames(1, 2)), c.Write(tc.message, tc.message), c.Write(frames(3)))
				}()
				if m, err := s.ReadMessage(); err != nil || len(m) != 2 {
					t.Fatalf("%q, %v before it", m, err)
				}
				for range 2 {
					m, err := s.ReadMessage()
					d, ok := errors.AsType[*DiscardedError](err)
					if !ok || !errors.Is(err, ErrTooLarge) {
						t.Fatalf("%d frames, %v, want a *DiscardedError", len(m), err)
					}
					if string(d.First) != strings.Repeat("a", tc.first) {
						t.Errorf("the first frame has %d bytes, want %d", len(d.First), tc.first)
					}
				}
				if m, err := s.ReadMessage(); err != nil || string(m[0]) != "aaa" {
					t.Errorf("%q, %v after it", m, err)
				}
				if err := <-written; err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestDiscardLimit checks that a message beyond Discard closes the connection, in one frame as soon
// as its header is there.
func TestDiscardLimit(t *testing.T) {
	for _, l := range logins(t) {
		for _, m := range []Message{{make([]byte, 100_001)}, {[]byte("topic"), make([]byte, 60_000), make([]byte, 60_000)}} {
			c, s, err := overPipe(t, l, Options{SocketType: DEALER}, Options{SocketType: DEALER, Limits: discardLimits})
			if err != nil {
				t.Fatal(err)
			}
			go c.Write(m)
			_, err = s.ReadMessage()
			if _, discarded := errors.AsType[*DiscardedError](err); discarded || !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s: %v, want the end of the connection", l.mechanism, err)
			}
			if _, again := s.ReadMessage(); again != err {
				t.Errorf("%s: then %v", l.mechanism, again)
			}
		}
	}
}

// TestDiscardLargest checks that the largest frame that a header can announce closes the connection at
// once.
func TestDiscardLargest(t *testing.T) {
	for _, before := range []string{"", "\x01\x01t"} {
		c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER, Limits: discardLimits})
		go p.send(before + "\x02\x7f\xff\xff\xff\xff\xff\xff\xff")
		if _, err := c.ReadMessage(); !errors.Is(err, ErrTooLarge) {
			t.Errorf("after %q: %v, want the end of the connection", before, err)
		}
		p.Close()
	}
}

// TestDiscardCommands checks that commands are handled between the frames of a message that is
// discarded, and that one over the limit is an error.
func TestDiscardCommands(t *testing.T) {
	c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER, Limits: discardLimits})
	defer p.Close()
	big := string(AppendFrame(nil, Frame{More: true, Body: make([]byte, 2000)}))
	go func() {
		p.send("\x01\x01t" + big + command("PING", "\x00\x00x"))
		p.expect(command("PONG", "x"))
		p.send("\x00\x00")
		p.send("\x00\x01z" + "\x01\x01m" + big + "\x00\x00")
	}()
	if f, err := c.ReadFrame(); err != nil || string(f.Body) != "t" {
		t.Fatalf("%q, %v", f.Body, err)
	}
	if _, err := c.ReadFrame(); !isDiscarded(err) {
		t.Errorf("%v, want a *DiscardedError", err)
	}
	for _, want := range []string{"z", "m"} {
		if f, err := c.ReadFrame(); err != nil || string(f.Body) != want {
			t.Fatalf("%q, %v, want %q", f.Body, err, want)
		}
	}
	if _, err := c.ReadFrame(); !isDiscarded(err) {
		t.Errorf("%v, want a *DiscardedError", err)
	}
	go p.send(string(AppendFrame(nil, Frame{Command: true, Body: make([]byte, 2000)})))
	if _, err := c.ReadFrame(); isDiscarded(err) || !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v, want the end of the connection", err)
	}
}

func isDiscarded(err error) bool {
	_, ok := errors.AsType[*DiscardedError](err)
	return ok
}

// TestDiscardSealed checks that a box that is discarded is verified: its tag, its nonce, and that
// it is a MESSAGE.
func TestDiscardSealed(t *testing.T) {
	all := logins(t)
	curve := all[slices.IndexFunc(all, func(l login) bool { return l.mechanism == zap.CURVE })]
	for name, tc := range map[string]struct {
		at int // of the byte that is changed, from the start of the command
		ok bool
	}{
		"as sent":        {-1, true},
		"no MESSAGE":     {1, false},
		"replayed":       {-2, false},
		"another nonce":  {boxAt - 1, false},
		"tag":            {boxAt, false},
		"flags":          {payloadAt, false},
		"the beginning":  {payloadAt + 5, false},
		"after the head": {headSize + 1, false},
		"the end":        {messageOverhead + 40_000 - 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, s, err := overPipe(t, curve, Options{SocketType: DEALER}, Options{SocketType: DEALER, Limits: discardLimits})
			if err != nil {
				t.Fatal(err)
			}
			f, err := c.mechanism.Encode(Frame{More: true, Body: make([]byte, 40_000)})
			if err != nil {
				t.Fatal(err)
			}
			if tc.at >= 0 {
				f.Body[tc.at] ^= 1
			}
			raw := AppendFrame(nil, f)
			if tc.at == -2 {
				raw = append(raw, raw...)
			}
			go func() {
				_, _ = c.nc.Write(raw)
				_ = c.Write(Message{[]byte("rest")}, Message{[]byte("next")})
			}()
			_, err = s.ReadMessage()
			if tc.ok != isDiscarded(err) || !tc.ok && !errors.Is(err, ErrProtocol) {
				t.Fatalf("%v", err)
			}
			if !tc.ok {
				return
			}
			if m, err := s.ReadMessage(); err != nil || string(m[0]) != "next" {
				t.Errorf("%q, %v", m, err)
			}
		})
	}
}

// TestDiscardMemory checks that a discarded message is not held.
func TestDiscardMemory(t *testing.T) {
	c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER, Limits: Limits{Discard: 64 << 20}})
	defer p.Close()
	piece := make([]byte, 64<<10)
	go func() {
		p.send("\x02\x00\x00\x00\x00\x03\x00\x00\x00")
		for range 3 << 24 / len(piece) {
			_, _ = p.Write(piece)
		}
	}()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := c.ReadFrame(); !isDiscarded(err) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("48 MiB were discarded with %d bytes of memory", used)
	}
}

// TestDiscardDeadline checks that a peer that stops in the middle of a message is given up.
func TestDiscardDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER, Heartbeat: time.Second, Limits: discardLimits})
		defer p.Close()
		go func() {
			p.send("\x02\x00\x00\x00\x00\x00\x00\xff\x00" + strings.Repeat("x", 5000))
			for {
				if _, err := readFrame(p.r); err != nil {
					return
				}
			}
		}()
		if _, err := c.ReadFrame(); !errors.Is(err, ErrSilent) {
			t.Errorf("%v, want ErrSilent", err)
		}
		c.Close()
	})
}
