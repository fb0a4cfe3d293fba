package zws_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// TestDeparture: a client that leaves while its login is judged, or while what it came for is
// opened, is noticed at once, however it leaves and although it sends a ping before.
func TestDeparture(t *testing.T) {
	logins := map[string]struct {
		offer string
		login func(*raw)
	}{
		"PLAIN":         {offering("ZWS2.0+PLAIN"), func(p *raw) { p.send("\x02\x05HELLO\x01u\x01p") }},
		"JSON":          {offering("ZWSJSON1.0"), func(p *raw) { p.say(jsonLogin) }},
		"no first data": {offering("WSNetMQ"), func(*raw) {}},
	}
	departures := map[string]func(*raw){
		"closes":              func(p *raw) { p.conn.Close() },
		"resets":              func(p *raw) { p.conn.(*net.TCPConn).SetLinger(0); p.conn.Close() },
		"sends a close frame": func(p *raw) { p.write(frame(0x88, "\x03\xe8bye")) },
		"pings and closes": func(p *raw) {
			p.write(frame(0x89, "here"))
			if first, payload, err := p.receive(); err != nil || first != 0x8a || payload != "here" {
				p.t.Errorf("%02x %q, %v instead of a pong", first, payload, err)
			}
			p.write(frame(0x88, ""))
		},
	}
	for login, l := range logins {
		for departure, leave := range departures {
			t.Run("judged/"+login+"/"+departure, func(t *testing.T) {
				judged, left := make(chan struct{}), make(chan struct{})
				o := options()
				o.Handler = zap.HandlerFunc(func(ctx context.Context, _ *zap.Request) (*zap.Reply, error) {
					close(judged)
					<-ctx.Done()
					close(left)
					return nil, ctx.Err()
				})
				s := serve(t, o, plain)
				p := s.dialRaw(t, "/", l.offer)
				l.login(p)
				<-judged
				leave(p)
				noticed(t, left)
				if a := <-s.accepted; zws.Cause(a.err).Code != 1000 && zws.Cause(a.err).Code != 1005 && zws.Cause(a.err).Code != 1006 {
					t.Errorf("accepted %v, %v", a.conn, a.err)
				}
			})
		}
		if login == "PLAIN" {
			continue // pending only after INITIATE
		}
		t.Run("pending/"+login, func(t *testing.T) {
			pending, left := make(chan struct{}), make(chan struct{})
			s := serveWith(t, options(), plain, after(func(ctx context.Context, _ *zws.Login) error {
				close(pending)
				<-ctx.Done()
				close(left)
				return ctx.Err()
			}), echo)
			p := s.dialRaw(t, "/", l.offer)
			l.login(p)
			<-pending
			p.conn.Close()
			noticed(t, left)
		})
	}
}

func noticed(t *testing.T, left <-chan struct{}) {
	t.Helper()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the departure was not noticed")
	}
}

// TestNoDeparture: what a client sends while its login waits arrives, and pings keep the
// connection of a client busy that waits.
func TestNoDeparture(t *testing.T) {
	o := options()
	o.PingInterval = 20 * time.Millisecond
	proceed := make(chan struct{})
	o.Handler = zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
		<-proceed
		return &zap.Reply{Status: zap.OK}, nil
	})
	s := serve(t, o, plain)
	p := s.dialRaw(t, "/", offering("ZWSJSON1.0"))
	p.say(jsonLogin)
	if first, _, err := p.receive(); err != nil || first != 0x89 {
		t.Fatalf("%02x, %v instead of a ping", first, err)
	}
	p.say(`{"op":"send","frames":["early"]}`)
	time.Sleep(50 * time.Millisecond)
	close(proceed)
	for _, want := range []string{`{"op":"ready"}`, `{"op":"message","frames":["early"]}`} {
		for {
			first, got, err := p.receive()
			if err == nil && first == 0x89 {
				continue
			}
			if err != nil || got != want {
				t.Fatalf("%02x %q, %v; want %q", first, got, err, want)
			}
			break
		}
	}
}
