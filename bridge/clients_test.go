package bridge_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// What the tests put in front of the bridge. A handshake has a minute: a hang is a failure.

// byPassword is how alice and bob log in.
func byPassword(user string, as zmtp.SocketType) zws.DialOptions {
	return zws.DialOptions{SocketType: as, Security: zmtp.Plain{User: user, Password: user + "'s secret"}, HandshakeTimeout: time.Minute}
}

func byToken(token string, as zmtp.SocketType) zws.DialOptions {
	return zws.DialOptions{SocketType: as, Security: zmtp.Bearer{Token: token}, HandshakeTimeout: time.Minute}
}

func dial(ctx context.Context, url, user string, as zmtp.SocketType) (*zws.Client, error) {
	return zws.Dial(ctx, url, byPassword(user, as))
}

// connect is a client that gets in, and leaves with the test.
func connect(t *testing.T, url string, o zws.DialOptions) *zws.Client {
	t.Helper()
	c, err := zws.Dial(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// refusal is how a client is refused.
func refusal(t *testing.T, url string, o zws.DialOptions) *zws.CloseError {
	t.Helper()
	c, err := zws.Dial(t.Context(), url, o)
	if err == nil {
		c.Close()
		t.Fatal("the login was accepted")
	}
	cause, ok := errors.AsType[*zws.CloseError](err)
	if !ok {
		t.Fatalf("the client sees %v, want a close code", err)
	}
	return cause
}

// ended reads to the end of the session of c and returns its cause.
func ended(t *testing.T, c *zws.Client) *zws.CloseError {
	t.Helper()
	for {
		if _, err := c.Recv(); err != nil {
			cause, ok := errors.AsType[*zws.CloseError](err)
			if !ok {
				t.Fatalf("the session ended with %v, want a close code", err)
			}
			return cause
		}
	}
}

func dialMux(t *testing.T, url, user string) *zws.MuxClient {
	t.Helper()
	m, err := zws.DialMux(t.Context(), url, byPassword(user, ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// message makes a message of texts.
func message(frames ...string) zmtp.Message {
	m := make(zmtp.Message, len(frames))
	for i, f := range frames {
		m[i] = []byte(f)
	}
	return m
}

func texts(m zmtp.Message) []string {
	list := make([]string, len(m))
	for i, f := range m {
		list[i] = string(f)
	}
	return list
}
