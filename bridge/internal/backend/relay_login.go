package backend

import (
	"errors"
	"fmt"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// relayLogin follows the handshake between a client and a backend. It sees the names of the
// backend's commands, which no mechanism encrypts, and keeps the time of each side.
type relayLogin struct {
	mechanism       zap.Mechanism
	started         time.Time
	asked, answered int           // number of commands of the client and of the backend
	ready           bool          // the backend's READY has passed
	client, backend time.Duration // what is left to each
	since           time.Time     // start of the current turn
}

func newRelayLogin(o RelayOptions, started time.Time) relayLogin {
	now := time.Now()
	return relayLogin{mechanism: o.Mechanism, started: started, since: now, client: o.ClientTimeout, backend: o.ConnectTimeout - now.Sub(started)}
}

// over reports that the handshake needs no further command. In NULL both sides send READY, in
// any order.
func (l *relayLogin) over() bool { return l.ready && l.asked > 0 }

// turn returns the remaining time of the side that has to send next. The client begins, also
// in NULL, where the backend need not wait for it.
func (l *relayLogin) turn() *time.Duration {
	if l.asked > l.answered {
		return &l.backend
	}
	return &l.client
}

func (l *relayLogin) left() time.Duration { return *l.turn() }

// charge subtracts the time since the last call from the side whose turn it is.
func (l *relayLogin) charge(now time.Time) {
	*l.turn() -= now.Sub(l.since)
	l.since = now
}

// clientSpoke counts a command of the client.
func (l *relayLogin) clientSpoke(now time.Time) {
	l.charge(now)
	l.asked++
}

// backendSpoke counts a command of the backend.
func (l *relayLogin) backendSpoke(name string, now time.Time) {
	l.charge(now)
	l.answered++
	l.ready = l.ready || name == "READY"
}

// commandName returns the name of a backend's command. The error reports that it is not a
// valid command, or that it is an ERROR.
func commandName(f zmtp.Frame) (name string, err error) {
	if !f.Command {
		return "", fmt.Errorf("%w: message frame during the handshake", zmtp.ErrProtocol)
	}
	c, err := zmtp.ParseCommand(f.Body)
	if err != nil {
		return "", err
	}
	return c.Name, c.Refusal()
}

// isRefusal reports whether err is an ERROR command of the backend, which the client gets.
func isRefusal(err error) bool {
	_, refused := errors.AsType[*zmtp.RefusedError](err)
	return refused
}

// timeout returns why the handshake ends when the time of the side whose turn it is is over.
func (l *relayLogin) timeout() error {
	if l.turn() == &l.client {
		return zmtp.ErrHandshakeTimeout
	}
	return newError(1, zmtp.ErrHandshakeTimeout)
}

// cause returns what err, which has ended the connection, means.
func (l *relayLogin) cause(err error) *Error {
	if l.ready {
		return &Error{1, KindLost, err}
	}
	known := isRefusal(err) || errors.Is(err, zmtp.ErrProtocol) || errors.Is(err, zmtp.ErrTooLarge)
	switch {
	case known:
	case l.mechanism == zap.CURVE && l.asked > 0 && l.answered == 0:
		err = zmtp.ErrClosedBeforeWelcome
	default:
		err = zmtp.ErrClosedDuringLogin
	}
	// A close is a refusal here: the greeting is complete, and the login is not the bridge's to
	// repeat.
	return &Error{1, KindRefused, err}
}
