package zmtp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestRefused checks what each reply of a ZAP handler leads to.
func TestRefused(t *testing.T) {
	reply := func(s zap.Status) zap.HandlerFunc {
		return func(context.Context, *zap.Request) (*zap.Reply, error) {
			return &zap.Reply{Status: s, Text: "because"}, nil
		}
	}
	cases := []struct {
		name    string
		handler zap.HandlerFunc
		want    zap.Status
		sent    bool // an ERROR command is sent
	}{
		{"300", reply(300), 300, false},
		{"400", reply(400), 400, true},
		{"500", reply(500), 500, true},
		{"unknown status", reply(201), 300, false},
		{"no status", reply(0), 300, false},
		{"pass", func(context.Context, *zap.Request) (*zap.Reply, error) { return nil, zap.ErrPass }, 400, true},
		{"error", func(context.Context, *zap.Request) (*zap.Reply, error) { return nil, errors.New("down") }, 300, false},
		{"nil", func(context.Context, *zap.Request) (*zap.Reply, error) { return nil, nil }, 300, false},
		{"panic", func(context.Context, *zap.Request) (*zap.Reply, error) { panic("broken") }, 500, true},
	}
	forEachMechanism(t, func(t *testing.T, m zap.Mechanism) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				p := newPair(t, m)
				p.server.Handler = c.handler
				p.server.Admit = func(context.Context, *Peer) error {
					t.Error("Admit was called for a refused peer")
					return nil
				}
				client, server := p.sides(t)
				got := shake(t, client, server)
				checkRefusal(t, got.serverErr, c.want)
				if server.Done() || client.Done() || server.Peer() != nil {
					t.Error("a side is done, or the server has a peer")
				}
				last := got.commands[len(got.commands)-1]
				if !c.sent {
					if strings.HasPrefix(last, "S:ERROR") || got.clientErr != nil {
						t.Errorf("the client was sent an ERROR: %v, %v", got.commands, got.clientErr)
					}
					return
				}
				if last != "S:ERROR" {
					t.Errorf("commands %v, want an ERROR at the end", got.commands)
				}
				checkRefusal(t, got.clientErr, c.want)
			})
		}
	})
}

func checkRefusal(t *testing.T, err error, want zap.Status) {
	t.Helper()
	refusal, ok := errors.AsType[*RefusedError](err)
	if !ok || refusal.Status != want {
		t.Errorf("got %v, want a RefusedError with status %d", err, want)
	}
}

// TestAdmit checks that READY waits for Admit and that an error replaces it.
func TestAdmit(t *testing.T) {
	other := errors.New("the backend is gone")
	cases := []struct {
		name string
		err  error
		sent string // the reason of ERROR; empty: none is sent
	}{
		{"nil", nil, ""},
		{"other error", other, ""},
		{"400", &RefusedError{Status: 400}, "400"},
		{"500", &RefusedError{Status: 500}, "500"},
		{"300", &RefusedError{Status: 300}, "300"},
		{"wrapped", fmt.Errorf("backend 2: %w", &RefusedError{Status: 500, Reason: "x"}), "500"},
		{"reason without a status", &RefusedError{Reason: "go away"}, "400"},
		{"invalid status", &RefusedError{Status: 204}, "400"},
		{"200", &RefusedError{Status: 200}, "400"},
	}
	forEachMechanism(t, func(t *testing.T, m zap.Mechanism) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				p := newPair(t, m)
				calls := 0
				p.server.Admit = func(ctx context.Context, peer *Peer) error {
					calls++
					if peer.Reply == nil || peer.SocketType() != DEALER || string(peer.RoutingID()) != "panel-1" {
						t.Errorf("Admit was called with %+v", peer)
					}
					if ctx != t.Context() {
						t.Error("Admit was not given the context of Next")
					}
					return c.err
				}
				client, server := p.sides(t)
				got := shake(t, client, server)
				if calls != 1 {
					t.Errorf("Admit was called %d times", calls)
				}
				if got.serverErr != c.err || server.Done() != (c.err == nil) || client.Done() != (c.err == nil) {
					t.Errorf("server: %v, want %v", got.serverErr, c.err)
				}
				var sent string
				if refusal, ok := errors.AsType[*RefusedError](got.clientErr); ok {
					sent = fmt.Sprint(int(refusal.Status))
				}
				if sent != c.sent {
					t.Errorf("the client was refused with %q (%v), want %q", sent, got.clientErr, c.sent)
				}
			})
		}
	})
}

// TestLibzmqError checks that only PLAIN sends its ERROR in libzmq's form, and only if
// LibzmqError is set.
func TestLibzmqError(t *testing.T) {
	forEachMechanism(t, func(t *testing.T, m zap.Mechanism) {
		for _, libzmq := range []bool{false, true} {
			p := newPair(t, m)
			p.server.LibzmqError = libzmq
			p.server.Admit = func(context.Context, *Peer) error { return &RefusedError{Status: 400} }
			client, server := p.sides(t)
			got := shake(t, client, server)
			want := "S:ERROR"
			if libzmq && m == zap.PLAIN {
				want = "S:^RROR"
			}
			if last := got.commands[len(got.commands)-1]; last != want {
				t.Errorf("LibzmqError %v: %s was sent, want %s", libzmq, last, want)
			}
			checkRefusal(t, got.clientErr, 400)
		}
	})
}

// TestReplyAfterDeadline checks that a reply that comes after the context is done counts as
// 300, even if it is a 200.
func TestReplyAfterDeadline(t *testing.T) {
	forEachMechanism(t, func(t *testing.T, m zap.Mechanism) {
		p := newPair(t, m)
		ctx, cancel := context.WithCancel(t.Context())
		p.server.Handler = zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
			cancel()
			return &zap.Reply{Status: zap.OK}, nil
		})
		client, server := p.sides(t)
		out, err := client.Next(ctx, nil)
		for err == nil && out != nil {
			if out, err = server.Next(ctx, out); err == nil && out != nil {
				out, err = client.Next(ctx, out)
			}
		}
		checkRefusal(t, err, zap.Temporary)
		if out != nil {
			t.Errorf("%s was sent", out.Name)
		}
	})
}
