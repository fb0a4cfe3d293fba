package backend

import (
	"errors"
	"fmt"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// relayLogin follows a handshake between client and backend by the names of the backend's
// commands, which no mechanism hides, and knows for whom it waits.
type relayLogin struct {
	mechanism       zap.Mechanism
	started         time.Time
	asked, answered int           // commands of the client and of the backend
	ready           bool          // the backend's READY has passed
	client, backend time.Duration // what is left to each
	since           time.Time     // when the present turn began
}

func newRelayLogin(o RelayOptions, started time.Time) relayLogin {
	now := time.Now()
	return relayLogin{mechanism: o.Mechanism, started: started, since: now, client: o.ClientTimeout, backend: o.ConnectTimeout - now.Sub(started)}
}

// over tells that nothing is waited for any more. In NULL both sides say READY, in any order.
func (l *relayLogin) over() bool { return l.ready && l.asked > 0 }

// turn is what is left to the side that is to speak next: a side that waits for nothing in
// NULL has the client speak first, as all mechanisms do.
func (l *relayLogin) turn() *time.Duration {
	if l.asked > l.answered {
		return &l.backend
	}
	return &l.client
}

func (l *relayLogin) left() time.Duration { return *l.turn() }

// charge takes the time that has passed from the side whose turn it is.
func (l *relayLogin) charge(now time.Time) {
	*l.turn() -= now.Sub(l.since)
	l.since = now
}

// asks notes a command of the client.
func (l *relayLogin) asks(now time.Time) {
	l.charge(now)
	l.asked++
}

// answers notes a command of the backend.
func (l *relayLogin) answers(name string, now time.Time) {
	l.charge(now)
	l.answered++
	l.ready = l.ready || name == "READY"
}

// read reads the name of a backend's command. The error says that it is none, or that it is
// an ERROR.
func (l *relayLogin) read(f zmtp.Frame) (name string, err error) {
	if !f.Command {
		return "", fmt.Errorf("%w: message frame during the handshake", zmtp.ErrProtocol)
	}
	c, err := zmtp.ParseCommand(f.Body)
	if err != nil {
		return "", err
	}
	return c.Name, c.Refusal()
}

// told tells that err was an ERROR of the backend, which the client gets.
func told(err error) bool {
	_, refused := errors.AsType[*zmtp.RefusedError](err)
	return refused
}

// late is why the handshake has ended when the time of a side is over.
func (l *relayLogin) late() error {
	if l.turn() == &l.client {
		return zmtp.ErrHandshakeTimeout
	}
	return newError(1, zmtp.ErrHandshakeTimeout)
}

// meaning is what err, which has ended the connection, tells about the backend.
func (l *relayLogin) meaning(err error) *Error {
	if l.ready {
		return &Error{1, KindLost, err}
	}
	known := told(err) || errors.Is(err, zmtp.ErrProtocol) || errors.Is(err, zmtp.ErrTooLarge)
	switch {
	case known:
	case l.mechanism == zap.CURVE && l.asked > 0 && l.answered == 0:
		err = zmtp.ErrClosedBeforeWelcome
	default:
		err = zmtp.ErrClosedDuringLogin
	}
	return newError(1, err)
}
