package backend

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestRelayLogin: who is waited for in a handshake, and what it means that time is over or
// that the connection ends. C is a command of the client, the others are the backend's.
func TestRelayLogin(t *testing.T) {
	for _, tt := range []struct {
		mechanism zap.Mechanism
		said      []string
		over      bool
		late, end zws.Code
		reason    string
	}{
		{zap.CURVE, nil, false, 4408, 4502, "backend 1: the peer closed the connection during the login"},
		{zap.CURVE, []string{"C"}, false, 4504, 4502, "backend 1: closed before WELCOME: probably the wrong server key"},
		{zap.CURVE, []string{"C", "WELCOME"}, false, 4408, 4502, "backend 1: the peer closed the connection during the login"},
		{zap.CURVE, []string{"C", "WELCOME", "C"}, false, 4504, 4502, "backend 1: the peer closed the connection during the login"},
		{zap.CURVE, []string{"C", "WELCOME", "C", "READY"}, true, 0, 4503, "backend 1 was lost: log in there again"},
		{zap.PLAIN, []string{"C"}, false, 4504, 4502, "backend 1: the peer closed the connection during the login"},
		{zap.NULL, nil, false, 4408, 4502, "backend 1: the peer closed the connection during the login"},
		{zap.NULL, []string{"READY"}, false, 4408, 4503, "backend 1 was lost: log in there again"},
		{zap.NULL, []string{"C"}, false, 4504, 4502, "backend 1: the peer closed the connection during the login"},
		{zap.NULL, []string{"READY", "C"}, true, 0, 4503, "backend 1 was lost: log in there again"},
		{zap.NULL, []string{"C", "READY"}, true, 0, 4503, "backend 1 was lost: log in there again"},
	} {
		now := time.Now()
		l := newRelayLogin(RelayOptions{Mechanism: tt.mechanism, ClientTimeout: 10 * time.Second, ConnectTimeout: 5 * time.Second}, now)
		for _, said := range tt.said {
			if said == "C" {
				l.asks(now)
			} else {
				l.answers(said, now)
			}
		}
		if l.over() != tt.over {
			t.Errorf("%s %v: over is %v", tt.mechanism, tt.said, l.over())
		}
		if got := zws.Cause(l.late()).Code; !tt.over && got != tt.late {
			t.Errorf("%s %v: late with %d, want %d", tt.mechanism, tt.said, got, tt.late)
		}
		if got := zws.Cause(l.meaning(io.EOF)); got.Code != tt.end || got.Reason != tt.reason {
			t.Errorf("%s %v: ends with %d %q, want %d %q", tt.mechanism, tt.said, got.Code, got.Reason, tt.end, tt.reason)
		}
	}
}

// TestRelayTurns: each side is charged for its own turns only, all of them together.
func TestRelayTurns(t *testing.T) {
	now := time.Now()
	l := newRelayLogin(RelayOptions{Mechanism: zap.CURVE, ClientTimeout: 10 * time.Second, ConnectTimeout: 5 * time.Second}, now)
	l.since, l.backend = now, 5*time.Second
	after := func(d time.Duration) time.Time {
		now = now.Add(d)
		return now
	}
	l.asks(after(4 * time.Second))
	if got := l.left(); got != 5*time.Second {
		t.Errorf("the backend has %v", got)
	}
	l.answers("WELCOME", after(3*time.Second))
	if got := l.left(); got != 6*time.Second {
		t.Errorf("the client has %v", got)
	}
	l.asks(after(5 * time.Second))
	if got := l.left(); got != 2*time.Second {
		t.Errorf("the backend has %v", got)
	}
	l.charge(after(3 * time.Second))
	if got := l.left(); got >= 0 {
		t.Errorf("the backend has %v", got)
	}
}

// TestRelayLoginReads: what a backend may say before READY.
func TestRelayLoginReads(t *testing.T) {
	l := newRelayLogin(RelayOptions{Mechanism: zap.PLAIN}, time.Now())
	for _, tt := range []struct {
		frame zmtp.Frame
		name  string
		told  bool
		want  error
	}{
		{zmtp.Frame{Command: true, Body: []byte("\x07WELCOME")}, "WELCOME", false, nil},
		{zmtp.Frame{Command: true, Body: []byte("\x05READYx")}, "READY", false, nil},
		{zmtp.Frame{Command: true, Body: []byte("\x05ERROR\x03400")}, "ERROR", true, nil},
		{zmtp.Frame{Command: true, Body: []byte("^RROR\x03400")}, "ERROR", true, nil},
		{zmtp.Frame{Command: true, Body: []byte("\x05ERROR")}, "ERROR", false, zmtp.ErrProtocol},
		{zmtp.Frame{Command: true}, "", false, zmtp.ErrProtocol},
		{zmtp.Frame{Body: []byte("\x05READY")}, "", false, zmtp.ErrProtocol},
	} {
		name, err := l.read(tt.frame)
		if name != tt.name || told(err) != tt.told || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%q is read as %q, %v", tt.frame.Body, name, err)
		}
	}
}
