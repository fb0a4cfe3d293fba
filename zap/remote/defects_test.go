package remote

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestMisbehavingHandlers: each handler has one defect, which gives status 300. A good handler
// is not affected, and the same handler works again once it behaves.
func TestMisbehavingHandlers(t *testing.T) {
	for name, c := range map[string]struct {
		serve func(*zmtp.Conn, zmtp.Message)
		want  string // part of the error
	}{
		"hangs":           {func(*zmtp.Conn, zmtp.Message) {}, "no reply within"},
		"closes":          {func(c *zmtp.Conn, _ zmtp.Message) { c.Close() }, "connection lost"},
		"another id":      {func(c *zmtp.Conn, m zmtp.Message) { m[2] = []byte("1"); c.Write(reply(m, "200", "a")) }, "1 replies with an unknown id"},
		"another version": {func(c *zmtp.Conn, m zmtp.Message) { r := reply(m, "200", "a"); r[1] = []byte("2.0"); c.Write(r) }, "version"},
		"six frames":      {func(c *zmtp.Conn, m zmtp.Message) { c.Write(reply(m, "200", "a")[:6]) }, "5 frames, want 6"},
		"eight frames":    {func(c *zmtp.Conn, m zmtp.Message) { c.Write(append(reply(m, "200", "a"), nil)) }, "7 frames, want 6"},
		"status 299":      {func(c *zmtp.Conn, m zmtp.Message) { c.Write(reply(m, "299", "a")) }, "status"},
		"no delimiter":    {func(c *zmtp.Conn, m zmtp.Message) { c.Write(reply(m, "200", "a")[1:]) }, "replies with an unknown id"},
		"a routing id": {func(c *zmtp.Conn, m zmtp.Message) {
			c.Write(append(zmtp.Message{[]byte("r")}, reply(m, "200", "a")...))
		}, "replies with an unknown id"},
		"one empty frame":  {func(c *zmtp.Conn, _ zmtp.Message) { c.Write(zmtp.Message{{}}) }, "replies with an unknown id"},
		"a long user":      {func(c *zmtp.Conn, m zmtp.Message) { c.Write(reply(m, "200", strings.Repeat("a", 256))) }, "user id"},
		"broken metadata":  {func(c *zmtp.Conn, m zmtp.Message) { r := reply(m, "200", "a"); r[6] = []byte{9}; c.Write(r) }, "metadata"},
		"a huge reply":     {func(c *zmtp.Conn, m zmtp.Message) { r := reply(m, "200", "a"); r[6] = make([]byte, 65<<10); c.Write(r) }, "too large"},
		"endless frames":   {func(c *zmtp.Conn, m zmtp.Message) { c.Write(append(reply(m, "200", "a"), make(zmtp.Message, 64)...)) }, "too large"},
		"echoes":           {func(c *zmtp.Conn, m zmtp.Message) { c.Write(m) }, "8 frames, want 6"},
		"two replies, bad": {func(c *zmtp.Conn, m zmtp.Message) { c.Write(reply(m, "299", "a"), reply(m, "200", "a")) }, "status"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // some wait for the timeout
			behave := make(chan struct{})
			bad := listen(t, "tcp://127.0.0.1:*", func(conn *zmtp.Conn, m zmtp.Message) {
				select {
				case <-behave:
					good(conn, m)
				default:
					c.serve(conn, m)
				}
			})
			fine := listen(t, "tcp://127.0.0.1:*", good)
			one := ask(t, bad.listener.Endpoint(), Options{Timeout: 2 * time.Second})
			other := ask(t, fine.listener.Endpoint(), Options{})
			r, err := one.Authenticate(t.Context(), plain("ada", "x"))
			if err == nil || errors.Is(err, zap.ErrPass) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("reply %v, error %v, want %q", r, err, c.want)
			}
			if got := zap.Decide(t.Context(), other, plain("bob", "x")); got.UserID != "bob" {
				t.Errorf("the good handler: %+v", got)
			}
			close(behave)
			again := ask(t, bad.listener.Endpoint(), Options{})
			if got := zap.Decide(t.Context(), again, plain("carol", "x")); got.UserID != "carol" {
				t.Errorf("the handler that now behaves: %+v", got)
			}
		})
	}
}

// TestLate: a reply after the deadline is ignored, in particular it does not answer another
// request, and the connection stays open.
func TestLate(t *testing.T) {
	late := make(chan zmtp.Message, 1)
	h := listen(t, "tcp://127.0.0.1:*", func(c *zmtp.Conn, m zmtp.Message) {
		if string(m[7]) == "slow" {
			late <- m
			return
		}
		c.Write(reply(<-late, "200", "slow"), reply(m, "200", string(m[7])))
	})
	c := ask(t, h.listener.Endpoint(), Options{})
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := c.Authenticate(ctx, plain("slow", ""))
		gone <- err
	}()
	late <- <-late // the handler has it
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the request that timed out: %v", err)
	}
	if r := zap.Decide(t.Context(), c, plain("ada", "")); r.UserID != "ada" {
		t.Errorf("reply %+v", r)
	}
}
