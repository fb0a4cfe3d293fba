package zmtp

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPong(t *testing.T) {
	for _, context := range []string{"", "x", strings.Repeat("c", maxPingContext)} {
		c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER})
		done := make(chan error)
		go func() {
			_, err := c.ReadFrame()
			done <- err
		}()
		p.send(command("PING", "\x00\x00"+context))
		p.expect(command("PONG", context))
		p.Close()
		if err := <-done; !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		c.Close()
	}
}

// TestHeartbeat: PINGs carry twice the interval as time-to-live; a peer that answers, or
// sends anything else, stays; one that falls silent goes.
func TestHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER, Heartbeat: time.Second})
		defer p.Close()
		start := time.Now()
		ended := make(chan error, 1)
		frames := make(chan string, 10)
		go func() {
			for {
				f, err := c.ReadFrame()
				if err != nil {
					ended <- err
					return
				}
				frames <- string(f.Body)
			}
		}()
		ping := command("PING", "\x00\x14")
		p.expect(ping)
		if got := time.Since(start); got != time.Second {
			t.Errorf("the first PING came after %v, want 1s", got)
		}
		p.send(command("PONG", ""))
		p.expect(ping)
		p.send("\x00\x01a") // any traffic is a sign of life
		p.expect(ping)
		if err := <-ended; !errors.Is(err, ErrSilent) {
			t.Errorf("%v, want ErrSilent", err)
		}
		if got := time.Since(start); got != 4*time.Second {
			t.Errorf("silent since 2s, given up after %v, want 4s", got)
		}
		if got := <-frames; got != "a" {
			t.Errorf("got %q, want a", got)
		}
		c.Close()
	})
}

// TestNoPingToOldPeers: ZMTP 3.0 knows none.
func TestNoPingToOldPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newRawPeer(t, 0, DEALER, Options{SocketType: ROUTER, Heartbeat: time.Second})
		defer p.Close()
		received := make(chan string)
		go func() { received <- p.receive() }()
		time.Sleep(10 * time.Second)
		if err := c.Write(Message{[]byte("a")}); err != nil {
			t.Fatal(err)
		}
		if got := <-received; got != "\x00\x01a" {
			t.Errorf("an old peer gets %q", got)
		}
		c.Close()
	})
}

// TestTimeToLive: a peer is held to what it gave, also where we are more patient.
func TestTimeToLive(t *testing.T) {
	for _, heartbeat := range []time.Duration{0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER, Heartbeat: heartbeat})
			defer p.Close()
			start := time.Now()
			go func() {
				p.send(command("PING", "\x00\x0f"))
				p.receive()
				time.Sleep(time.Second)
				p.send(command("PING", "\x00\x00")) // no time-to-live: the old one stands
				p.receive()
			}()
			if _, err := c.ReadFrame(); !errors.Is(err, ErrSilent) {
				t.Errorf("%v, want ErrSilent", err)
			}
			if got := time.Since(start); got != 2500*time.Millisecond {
				t.Errorf("given up after %v, want 1s and 1.5s of silence", got)
			}
			c.Close()
		})
	}
}

// TestHeartbeatWaitsForNoReader: silence counts only while we listen.
func TestHeartbeatWaitsForNoReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER, Heartbeat: time.Second})
		defer p.Close()
		go io.Copy(io.Discard, p.Conn)
		time.Sleep(time.Minute) // a reader that is busy elsewhere
		go p.send("\x00\x01a")
		if f, err := c.ReadFrame(); err != nil || string(f.Body) != "a" {
			t.Errorf("%q, %v", f.Body, err)
		}
		c.Close()
	})
}
