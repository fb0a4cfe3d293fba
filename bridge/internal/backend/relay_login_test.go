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

// TestRelayLogin covers which side is next in a handshake, and what a timeout or the end of the
// connection means then. C is a command of the client, the others are the backend's.
func TestRelayLogin(t *testing.T) {
	clientLate := zmtp.ErrHandshakeTimeout
	backendLate := &Error{1, KindTimeout, zmtp.ErrHandshakeTimeout}
	for _, tt := range []struct {
		mechanism zap.Mechanism
		commands  []string
		over      bool
		late      error // an Error if the backend is late
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
		for _, command := range tt.commands {
			if command == "C" {
				l.clientSpoke(now)
			} else {
				l.backendSpoke(command, now)
			}
		}
		if l.over() != tt.over {
			t.Errorf("%s %v: over is %v", tt.mechanism, tt.commands, l.over())
		}
		if got := l.timeout(); !tt.over && !reflect.DeepEqual(got, tt.late) {
			t.Errorf("%s %v: timeout %v, want %v", tt.mechanism, tt.commands, got, tt.late)
		}
		if got := l.cause(io.EOF); *got != (Error{1, tt.kind, tt.end}) {
			t.Errorf("%s %v: ends with %d %v, want %d %v", tt.mechanism, tt.commands, got.Kind, got, tt.kind, tt.end)
		}
	}
}

// TestRelayTurns checks that each side has its time for all of its own turns together.
func TestRelayTurns(t *testing.T) {
	now := time.Now()
	l := newRelayLogin(RelayOptions{Mechanism: zap.CURVE, ClientTimeout: 10 * time.Second, ConnectTimeout: 5 * time.Second}, now)
	l.since, l.backend = now, 5*time.Second
	after := func(d time.Duration) time.Time {
		now = now.Add(d)
		return now
	}
	l.clientSpoke(after(4 * time.Second))
	if got := l.left(); got != 5*time.Second {
		t.Errorf("the backend has %v", got)
	}
	l.backendSpoke("WELCOME", after(3*time.Second))
	if got := l.left(); got != 6*time.Second {
		t.Errorf("the client has %v", got)
	}
	l.clientSpoke(after(5 * time.Second))
	if got := l.left(); got != 2*time.Second {
		t.Errorf("the backend has %v", got)
	}
	l.charge(after(3 * time.Second))
	if got := l.left(); got >= 0 {
		t.Errorf("the backend has %v", got)
	}
}

// TestCommandName covers what a backend may send before READY.
func TestCommandName(t *testing.T) {
	for _, tt := range []struct {
		frame   zmtp.Frame
		name    string
		refusal bool
		want    error
	}{
		{zmtp.Frame{Command: true, Body: []byte("\x07WELCOME")}, "WELCOME", false, nil},
		{zmtp.Frame{Command: true, Body: []byte("\x05READYx")}, "READY", false, nil},
		{zmtp.Frame{Command: true, Body: []byte("\x05ERROR\x03400")}, "ERROR", true, nil},
		{zmtp.Frame{Command: true, Body: []byte("^RROR\x03400")}, "ERROR", true, nil},
		{zmtp.Frame{Command: true, Body: []byte("\x05ERROR")}, "ERROR", false, zmtp.ErrProtocol},
		{zmtp.Frame{Command: true}, "", false, zmtp.ErrProtocol},
		{zmtp.Frame{Body: []byte("\x05READY")}, "", false, zmtp.ErrProtocol},
	} {
		name, err := commandName(tt.frame)
		if name != tt.name || isRefusal(err) != tt.refusal || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%q is parsed as %q, %v", tt.frame.Body, name, err)
		}
	}
}
