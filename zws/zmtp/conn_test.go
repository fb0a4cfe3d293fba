package zmtp

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// login is matching credentials for both sides of one mechanism.
type login struct {
	mechanism zap.Mechanism
	client    ClientSecurity
	server    ServerSecurity
	user      string // the user id of the ZAP reply
}

// logins returns a login for every mechanism. The server accepts only this client.
func logins(t testing.TB) []login {
	serverPublic, serverSecret := testKeys(t)
	clientPublic, clientSecret := testKeys(t)
	server := ServerSecurity{
		Domain:      "test",
		CurvePublic: serverPublic,
		CurveSecret: serverSecret,
		Handler: zap.HandlerFunc(func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
			var got []string
			for _, c := range r.Credentials {
				got = append(got, string(c))
			}
			want := map[zap.Mechanism][]string{
				zap.PLAIN:  {"alice", "secret"},
				zap.BEARER: {"token"},
				zap.CURVE:  {string(clientPublic[:])},
			}[r.Mechanism]
			if r.Domain != "test" || !slices.Equal(got, want) {
				return &zap.Reply{Status: zap.Refused}, nil
			}
			return &zap.Reply{Status: zap.OK, UserID: "alice"}, nil
		}),
	}
	return []login{
		{zap.NULL, Null{}, server, "alice"},
		{zap.PLAIN, Plain{User: "alice", Password: "secret"}, server, "alice"},
		{zap.BEARER, Bearer{Token: "token"}, server, "alice"},
		{zap.CURVE, Curve{Public: clientPublic, Secret: clientSecret, ServerKey: serverPublic}, server, "alice"},
	}
}

// transport returns a client and a server that are connected over one kind of transport.
type transport func(t testing.TB, l login, client, server Options) (c, s *Conn, err error)

// overListener connects through a Listener.
func overListener(endpoint func(t testing.TB) string) transport {
	return func(t testing.TB, l login, client, server Options) (*Conn, *Conn, error) {
		listener, err := Listen(endpoint(t), l.mechanism, l.server, ListenOptions{Options: server})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		c, err := Dial(t.Context(), listener.Endpoint(), l.client, client)
		if err != nil {
			return nil, nil, err
		}
		t.Cleanup(func() { c.Close() })
		s, err := listener.Accept()
		if err != nil {
			return nil, nil, err
		}
		t.Cleanup(func() { s.Close() })
		return c, s, nil
	}
}

// overPipe connects through net.Pipe.
func overPipe(t testing.TB, l login, client, server Options) (*Conn, *Conn, error) {
	a, b := net.Pipe()
	return handshakeOver(t, a, b, l, client, server)
}

// handshakeOver runs both sides of a handshake over a and b.
func handshakeOver(t testing.TB, a, b net.Conn, l login, client, server Options) (*Conn, *Conn, error) {
	type result struct {
		c   *Conn
		err error
	}
	served := make(chan result)
	go func() {
		s, err := Server(t.Context(), b, l.mechanism, l.server, server)
		served <- result{s, err}
	}()
	c, err := Client(t.Context(), a, l.client, client)
	s := <-served
	if err = errors.Join(err, s.err); err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { c.Close(); s.c.Close() })
	return c, s.c, nil
}

func transports(t testing.TB) map[string]transport {
	fixed := func(e string) func(testing.TB) string { return func(testing.TB) string { return e } }
	m := map[string]transport{
		"tcp IPv4": overListener(fixed("tcp://127.0.0.1:*")),
		"tcp name": overListener(fixed("tcp://localhost:0")),
		"ipc path": overListener(func(t testing.TB) string { return "ipc://" + filepath.Join(t.TempDir(), "s") }),
		"pipe":     overPipe,
	}
	if l, err := net.Listen("tcp", "[::1]:0"); err == nil {
		l.Close()
		m["tcp IPv6"] = overListener(fixed("tcp://[::1]:0"))
	}
	if runtime.GOOS == "linux" {
		m["ipc abstract"] = overListener(func(testing.TB) string { return fmt.Sprintf("ipc://@zmtp-%s", rand.Text()) })
	}
	return m
}

// TestMatrix exchanges messages over every transport with every mechanism.
func TestMatrix(t *testing.T) {
	messages := []Message{
		{[]byte("one")},
		{[]byte("two"), []byte{}, []byte("frames and an empty one")},
		{[]byte(strings.Repeat("x", 255))},
		{[]byte(strings.Repeat("y", 256))},
		{[]byte("h"), []byte(strings.Repeat("z", 300_000))},
	}
	for name, connect := range transports(t) {
		for _, l := range logins(t) {
			t.Run(name+" "+string(l.mechanism), func(t *testing.T) {
				c, s, err := connect(t, l,
					Options{SocketType: DEALER, RoutingID: []byte("me"), Metadata: zap.Metadata{{Name: "X-Colour", Value: "blue"}}},
					Options{SocketType: ROUTER})
				if err != nil {
					t.Fatal(err)
				}
				if p := s.Peer(); p.SocketType() != DEALER || string(p.RoutingID()) != "me" || p.Metadata.Get("x-colour") != "blue" || p.Reply.UserID != l.user {
					t.Errorf("the server's peer has the metadata %v and the reply %v", p.Metadata, p.Reply)
				}
				if p := c.Peer(); p.SocketType() != ROUTER || p.Mechanism != l.mechanism {
					t.Errorf("the client's peer has the metadata %v and the mechanism %s", p.Metadata, p.Mechanism)
				}
				exchange(t, c, s, messages)
				exchange(t, s, c, messages)
			})
		}
	}
}

// exchange sends all messages in one write and reads them at the other end.
func exchange(t *testing.T, from, to *Conn, messages []Message) {
	t.Helper()
	sent := make(chan error)
	go func() { sent <- from.Write(messages...) }()
	for _, want := range messages {
		got, err := to.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(want, got, bytes.Equal) {
			t.Fatalf("got %d frames, %d bytes: %.80q; want %d, %d", len(got), got.Size(), got, len(want), want.Size())
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}
