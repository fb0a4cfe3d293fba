package bridge_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// This file has the clients of the tests. Their handshakes time out after a minute, so that a
// handshake that hangs fails the test.

// plainLogin returns the options of a PLAIN login as alice or bob.
func plainLogin(user string, as zmtp.SocketType) zws.DialOptions {
	return zws.DialOptions{SocketType: as, Security: zmtp.Plain{User: user, Password: user + "'s secret"}, HandshakeTimeout: time.Minute}
}

// bearerLogin returns the options of a BEARER login.
func bearerLogin(token string, as zmtp.SocketType) zws.DialOptions {
	return zws.DialOptions{SocketType: as, Security: zmtp.Bearer{Token: token}, HandshakeTimeout: time.Minute}
}

// dial connects with plainLogin.
func dial(ctx context.Context, url, user string, as zmtp.SocketType) (*zws.Client, error) {
	return zws.Dial(ctx, url, plainLogin(user, as))
}

// connect dials a client that must be accepted, and closes it when the test ends.
func connect(t *testing.T, url string, o zws.DialOptions) *zws.Client {
	t.Helper()
	c, err := zws.Dial(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// refusal dials a client that must be refused, and returns the close code and reason.
func refusal(t *testing.T, url string, o zws.DialOptions) *zws.CloseError {
	t.Helper()
	c, err := zws.Dial(t.Context(), url, o)
	if err == nil {
		c.Close()
		t.Fatal("the login was accepted")
	}
	cause, ok := errors.AsType[*zws.CloseError](err)
	if !ok {
		t.Fatalf("the client gets %v, want a close code", err)
	}
	return cause
}

// sessionEnd reads until the session of c ends and returns the close code and reason.
func sessionEnd(t *testing.T, c *zws.Client) *zws.CloseError {
	t.Helper()
	for {
		if _, err := c.Recv(t.Context()); err != nil {
			cause, ok := errors.AsType[*zws.CloseError](err)
			if !ok {
				t.Fatalf("the session ended with %v, want a close code", err)
			}
			return cause
		}
	}
}

// dialMux connects with ZWSMUX1.0 and a PLAIN login.
func dialMux(t *testing.T, url, user string) *zws.MuxClient {
	t.Helper()
	m, err := zws.DialMux(t.Context(), url, plainLogin(user, ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// openMux opens a channel that must be accepted.
func openMux(t *testing.T, m *zws.MuxClient, o zws.ChannelOptions) *zws.MuxChannel {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := m.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// must fails the test if there is an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// message returns a message with these frames.
func message(frames ...string) zmtp.Message {
	m := make(zmtp.Message, len(frames))
	for i, f := range frames {
		m[i] = []byte(f)
	}
	return m
}

// texts returns the frames of a message as strings.
func texts(m zmtp.Message) []string {
	list := make([]string, len(m))
	for i, f := range m {
		list[i] = string(f)
	}
	return list
}
