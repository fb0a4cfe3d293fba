package zmtp

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestPong checks that a PONG returns the context of the PING.
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

// TestHeartbeat checks that PINGs have twice the interval as time-to-live, that a peer stays
// connected while it sends anything, and that a silent peer is disconnected.
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
		p.send("\x00\x01a") // any frame counts
		p.expect(ping)
		if err := <-ended; !errors.Is(err, ErrSilent) {
			t.Errorf("got %v, want ErrSilent", err)
		}
		if got := time.Since(start); got != 4*time.Second {
			t.Errorf("disconnected after %v, want 2s of silence after 2s", got)
		}
		if got := <-frames; got != "a" {
			t.Errorf("got %q, want a", got)
		}
		c.Close()
	})
}

// TestNoPingToOldPeers checks that a ZMTP 3.0 peer, which does not know PING, is not sent one.
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
			t.Errorf("an old peer received %q", got)
		}
		c.Close()
	})
}

// TestTimeToLive checks that the time-to-live of the peer's PING applies to it, also if the
// local limit is longer.
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
				p.send(command("PING", "\x00\x00")) // no time-to-live: the old one remains
				p.receive()
			}()
			if _, err := c.ReadFrame(); !errors.Is(err, ErrSilent) {
				t.Errorf("got %v, want ErrSilent", err)
			}
			if got := time.Since(start); got != 2500*time.Millisecond {
				t.Errorf("disconnected after %v, want 1s and 1.5s of silence", got)
			}
			c.Close()
		})
	}
}

// TestHeartbeatWithoutReader checks that silence counts only while a read is in progress.
func TestHeartbeatWithoutReader(t *testing.T) {
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

// TestPingWithoutReading checks that a peer that sends PINGs and reads nothing is taken for lost,
// also while a message waits to be written to it. It runs in real time: a goroutine that waits for
// a mutex stops the clock of synctest.
func TestPingWithoutReading(t *testing.T) {
	for name, message := range map[string]bool{"idle": false, "writing": true} {
		t.Run(name, func(t *testing.T) {
			c, p := newRawPeer(t, 1, DEALER, Options{SocketType: ROUTER, Heartbeat: 20 * time.Millisecond, WriteTimeout: time.Hour})
			defer p.Close()
			written := make(chan error, 1)
			if message {
				go func() { written <- c.Write(Message{[]byte("a")}) }()
			} else {
				written <- ErrSilent
			}
			go func() {
				var err error
				for err == nil { // until the connection is closed
					_, err = io.WriteString(p.Conn, command("PING", "\x00\x00"))
				}
			}()
			if _, err := c.ReadFrame(); !errors.Is(err, ErrSilent) {
				t.Errorf("got %v, want ErrSilent", err)
			}
			if err := <-written; !errors.Is(err, ErrSilent) {
				t.Errorf("writing: %v, want ErrSilent", err)
			}
			c.Close()
		})
	}
}
