package backend

import (
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestRelayLogin: who is waited for in a handshake, and what it means that time is over or
// that the connection ends. C is a command of the client, the others are the backend's.
func TestRelayLogin(t *testing.T) {
	clientLate := zmtp.ErrHandshakeTimeout
	backendLate := &Error{1, KindTimeout, zmtp.ErrHandshakeTimeout}
	for _, tt := range []struct {
		mechanism zap.Mechanism
		said      []string
		over      bool
		late      error // the client's if it is not an Error
		kind      Kind  // of the error that io.EOF becomes
		end       error
	}{
		{zap.CURVE, nil, false, clientLate, KindRefused, zmtp.ErrClosedDuringLogin},
		{zap.CURVE, []string{"C"}, false, backendLate, KindRefused, zmtp.ErrClosedBeforeWelcome},
		{zap.CURVE, []string{"C", "WELCOME"}, false, clientLate, KindRefused, zmtp.ErrClosedDuringLogin},
		{zap.CURVE, []string{"C", "WELCOME", "C"}, false, backendLate, KindRefused, zmtp.ErrClosedDuringLogin},
		{zap.CURVE, []string{"C", "WELCOME", "C", "READY"}, true, nil, KindLost, io.EOF},
		{zap.PLAIN, []string{"C"}, false, backendLate, KindRefused, zmtp.ErrClosedDuringLogin},
		{zap.NULL, nil, false, clientLate, KindRefused, zmtp.ErrClosedDuringLogin},
		{zap.NULL, []string{"READY"}, false, clientLate, KindLost, io.EOF},
		{zap.NULL, []string{"C"}, false, backendLate, KindRefused, zmtp.ErrClosedDuringLogin},
		{zap.NULL, []string{"READY", "C"}, true, nil, KindLost, io.EOF},
		{zap.NULL, []string{"C", "READY"}, true, nil, KindLost, io.EOF},
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
		if got := l.late(); !tt.over && !reflect.DeepEqual(got, tt.late) {
			t.Errorf("%s %v: late with %v, want %v", tt.mechanism, tt.said, got, tt.late)
		}
		if got := l.meaning(io.EOF); *got != (Error{1, tt.kind, tt.end}) {
			t.Errorf("%s %v: ends with %d %v, want %d %v", tt.mechanism, tt.said, got.Kind, got, tt.kind, tt.end)
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
