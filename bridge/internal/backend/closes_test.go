package backend

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// cutConn closes the connection instead of writing more than left bytes.
type cutConn struct {
	net.Conn
	left int
}

func (c *cutConn) Write(b []byte) (int, error) {
	if len(b) <= c.left {
		c.left -= len(b)
		return c.Conn.Write(b)
	}
	if c.left > 0 {
		_, _ = c.Conn.Write(b[:c.left])
		c.left = 0
	}
	_ = c.Close()
	return 0, net.ErrClosed
}

// closing is a backend that closes its connections somewhere in the handshake until whole is set.
type closing struct {
	t         *testing.T
	mechanism zap.Mechanism
	socket    zmtp.SocketType
	security  zmtp.ServerSecurity
	after     int // bytes that it sends

	mu     sync.Mutex
	whole  bool
	served []*zmtp.Conn
}

func (b *closing) dial(ctx context.Context, _ string, sec zmtp.ClientSecurity, o zmtp.Options) (*zmtp.Conn, error) {
	client, server := net.Pipe()
	b.mu.Lock()
	if !b.whole {
		server = &cutConn{server, b.after}
	}
	b.mu.Unlock()
	go func() {
		c, err := zmtp.Server(context.WithoutCancel(ctx), server, b.mechanism, b.security, zmtp.Options{SocketType: b.socket})
		if err == nil {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.served = append(b.served, c)
		}
	}()
	return zmtp.Client(ctx, client, sec, o)
}

func (b *closing) setWhole(whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.whole = whole
	for _, c := range b.served {
		_ = c.Close()
	}
	b.served = nil
}

// peerOf returns a type of socket that the bridge's can talk to.
var peerOf = map[zmtp.SocketType]zmtp.SocketType{
	zmtp.SUB: zmtp.PUB, zmtp.XSUB: zmtp.XPUB, zmtp.PUB: zmtp.SUB, zmtp.XPUB: zmtp.XSUB,
	zmtp.DEALER: zmtp.ROUTER, zmtp.REQ: zmtp.REP, zmtp.ROUTER: zmtp.DEALER, zmtp.REP: zmtp.REQ,
	zmtp.PUSH: zmtp.PULL, zmtp.PULL: zmtp.PUSH, zmtp.PAIR: zmtp.PAIR,
}

// TestCloses lets backends of all types close the connection at every point of every handshake.
// Dial returns what that means; a socket that is at work does not end, whatever it means, and has
// its backend again when that stops to close.
func TestCloses(t *testing.T) {
	key, err := certs.New()
	if err != nil {
		t.Fatal(err)
	}
	logins := map[zap.Mechanism]zmtp.ClientSecurity{
		zap.NULL:  zmtp.Null{},
		zap.PLAIN: plain,
		zap.CURVE: zmtp.Curve{Public: key.Public, Secret: key.Secret, ServerKey: key.Public},
	}
	security := open
	security.CurvePublic, security.CurveSecret = key.Public, key.Secret
	const greets = 64
	for _, c := range []struct {
		mechanism zap.Mechanism
		after     int
		kind      Kind
		err       error
	}{
		{zap.NULL, 0, KindUnreachable, zmtp.ErrClosedBeforeGreeting},
		{zap.NULL, 12, KindUnreachable, zmtp.ErrClosedBeforeGreeting},
		{zap.NULL, greets - 1, KindUnreachable, zmtp.ErrClosedBeforeGreeting},
		{zap.NULL, greets, KindUnreachable, zmtp.ErrClosedDuringLogin},
		{zap.NULL, greets + 5, KindUnreachable, zmtp.ErrClosedDuringLogin},
		{zap.PLAIN, 0, KindUnreachable, zmtp.ErrClosedBeforeGreeting},
		{zap.PLAIN, greets - 1, KindUnreachable, zmtp.ErrClosedBeforeGreeting},
		{zap.PLAIN, greets, KindUnreachable, zmtp.ErrClosedDuringLogin},      // instead of WELCOME
		{zap.PLAIN, greets + 5, KindUnreachable, zmtp.ErrClosedDuringLogin},  // inside it
		{zap.PLAIN, greets + 10, KindUnreachable, zmtp.ErrClosedDuringLogin}, // instead of READY
		{zap.CURVE, 0, KindUnreachable, zmtp.ErrClosedBeforeGreeting},
		{zap.CURVE, greets - 1, KindUnreachable, zmtp.ErrClosedBeforeGreeting},
		{zap.CURVE, greets, KindRefused, zmtp.ErrClosedBeforeWelcome},
		{zap.CURVE, greets + 100, KindRefused, zmtp.ErrClosedBeforeWelcome},
		{zap.CURVE, greets + 170, KindRefused, zmtp.ErrClosedAfterWelcome},
	} {
		for ours, theirs := range peerOf {
			t.Run(fmt.Sprintf("%s/%s after %d bytes", ours, c.mechanism, c.after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := &closing{t: t, mechanism: c.mechanism, socket: theirs, security: security, after: c.after}
					defer b.setWhole(false)
					o := options(ours)
					o.Endpoints = []Endpoint{at("it", logins[c.mechanism])}
					o.Backoff, o.MaxBackoff = 0, 0
					o.HonorError = true
					o.dial = b.dial
					_, err := Dial(t.Context(), o, newInbox())
					if want := (&Error{1, c.kind, c.err}); err == nil || err.Error() != want.Error() || !isKind(err, c.kind) {
						t.Errorf("Dial: %v, want %v", err, want)
					}

					b.setWhole(true)
					s := dial(t, o, newInbox())
					synctest.Wait() // for the other side, too
					for range 3 {
						b.setWhole(false)
						time.Sleep(time.Minute)
						synctest.Wait()
						if status := s.Status()[0]; !isKind(status.Err, c.kind) || (status.State == Refused) != (c.kind == KindRefused) {
							t.Errorf("while it closes: %+v, want kind %d", status, c.kind)
						}
						b.setWhole(true)
						time.Sleep(maxRefusedWait)
						synctest.Wait()
						if status := s.Status()[0]; status.State != Connected {
							t.Errorf("a minute after it has stopped: %+v", status)
						}
					}
					s.Close()
				})
			})
		}
	}
}
