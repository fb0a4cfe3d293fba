package zws_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// confirm has the server send a message and ask for its confirmation.
func confirm(text string, token uint64) func(*zws.Batch) {
	return func(b *zws.Batch) {
		b.Message(message(text), nil)
		b.Confirm(token)
	}
}

// TestConfirm: the ping follows the message, whichever dialect, and with and without pings of
// liveness; the pong confirms it.
func TestConfirm(t *testing.T) {
	for _, test := range []struct {
		offer       string
		header      []string
		login, hear string
		message     string
		ping, pong  string
		second      string
	}{
		{"ZWS2.0", nil, "\x00", "\x00us", "\x00one", "\x00\x00\x00\x01", "\x00\x00\x00\x01", "\x00\x00\x00\x02"},
		{"ZWS2.0+NULL", nil, "\x02\x05READY" + dealerMetadata, "\x02\x05READY" + routerMetadata, "\x00one", "\x00\x00\x00\x01", "", "\x00\x00\x00\x02"},
		{"ZWS2.0/NULL,ZWS2.0", nil, "\x02\x05READY" + dealerMetadata, "\x02\x05READY" + routerMetadata, "\x00one", "", "", ""}, // libzmq
		{"ZWSJSON1.0", nil, jsonLogin, jsonReady, `{"op":"message","frames":["one"]}`, "\x00\x00\x00\x01", "\x00\x00\x00\x01", "\x00\x00\x00\x02"},
	} {
		for _, interval := range []int{0, -1} {
			t.Run(test.offer, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHistorian()
					o := options()
					o.PingInterval = zws.DefaultPingInterval
					if interval < 0 {
						o.PingInterval = -1
					}
					p, done := acceptPipeWith(t, o, acceptWith(h.accept(true)), offering(test.offer))
					kind := byte(0x82)
					if test.login[0] == '{' {
						kind = 0x81
					}
					hear := func(first byte, want string) {
						t.Helper()
						if kind, got, err := p.receive(); err != nil || kind != first || got != want {
							t.Fatalf("received %02x %q, %v; want %02x %q", kind, got, err, first, want)
						}
					}
					p.write(frame(kind, test.login))
					hear(kind, test.hear)
					conn := (<-done).conn
					go h.run(conn.Channel())
					out := <-h.out
					out.put(confirm("one", 1))
					hear(kind, test.message)
					hear(0x89, test.ping)
					out.put(confirm("one", 2), confirm("one", 3))
					hear(kind, test.message)
					hear(kind, test.message)
					synctest.Wait()
					h.nothingElse(t)
					p.write(frame(0x8A, test.pong))
					h.expect(t, "confirmed 1")
					hear(0x89, test.second)
					p.write(frame(0x8A, test.second))
					h.expect(t, "confirmed 3")
					if interval == 0 {
						hear(0x89, "") // liveness goes on
					}
					conn.Close(nil)
					p.conn.Close()
					conn.Wait()
				})
			})
		}
	}
}

// TestConfirmParked: the poller resumes a connection for a pong, which confirms as well, and the
// reader does not stay. Nor does it after a request.
func TestConfirmParked(t *testing.T) {
	h := newHistorian()
	o := options()
	o.Poller = newPoller(t)
	o.Announce = zmtp.PUB
	o.ClientTypes = append(o.ClientTypes, zmtp.SUB)
	s := serveWith(t, o, plain, acceptWith(h.accept(true)), func(conn *zws.Conn) {
		out := &playlist{channel: conn.Channel()}
		conn.Channel().Attach(out)
		ended := make(chan struct{})
		conn.Channel().Serve(func(zmtp.Message) error { return nil }, func() { close(ended) })
		h.out <- out
		<-ended
		conn.Wait()
	})
	w := historyWires[0]
	p := w.dial(t, s, w.login)
	out := <-h.out
	parked(t)
	out.put(confirm("one", 7))
	p.expect("\x00one")
	if first, payload, err := p.receive(); err != nil || first != 0x89 || payload != "\x00\x00\x00\x01" {
		t.Fatalf("received %02x %q, %v", first, payload, err)
	}
	p.write(frame(0x8A, "\x00\x00\x00\x01"))
	h.expect(t, "confirmed 7")
	parked(t)
	p.write(frame(0x82, w.ack))
	h.expect(t, `ack [] at "p1"`)
	parked(t)
}

// TestConfirmMux: clients of ZWSMUX1.0 acknowledge by themselves, so they are sent no pings.
func TestConfirmMux(t *testing.T) {
	h := newHistorian()
	w := historyWires[2]
	p := w.dial(t, h.serve(t, true), w.login)
	out := <-h.out
	out.put(func(b *zws.Batch) { b.Confirm(1); b.Live([]byte("p")) })
	w.hear(p, "\x12\x00\x00\x00\x07\x01p")
}

// TestUnsent: what the client's TCP has not acknowledged is known on systems that tell.
func TestUnsent(t *testing.T) {
	h := newHistorian()
	w := historyWires[0]
	p := w.dial(t, h.serve(t, true), w.login)
	out := <-h.out
	if _, known := out.channel.Unsent(); !known {
		t.Skip("not known on this system")
	}
	const size = 8 << 20 // more than the buffers of both sides
	out.put(func(b *zws.Batch) { b.Message(message(strings.Repeat("x", size)), nil) })
	waitFor(t, func() bool { n, _ := out.channel.Unsent(); return n > 0 })
	if _, got, err := p.receive(); err != nil || len(got) != 1+size {
		t.Fatalf("received %d bytes, %v", len(got), err)
	}
	waitFor(t, func() bool { n, _ := out.channel.Unsent(); return n == 0 })
}

// waitFor waits until done.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for range 20_000 {
		if done() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("it does not come about")
}
