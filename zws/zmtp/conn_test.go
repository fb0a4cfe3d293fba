package zmtp_test

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

	"golang.org/x/crypto/curve25519"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// login is one mechanism with both its sides.
type login struct {
	mechanism zap.Mechanism
	client    zmtp.ClientSecurity
	server    zmtp.ServerSecurity
	user      string // that the handler names
}

// logins returns a login of every mechanism; the server lets in exactly this client.
func logins(t testing.TB) []login {
	serverPublic, serverSecret := newKeys(t)
	clientPublic, clientSecret := newKeys(t)
	server := zmtp.ServerSecurity{
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
		{zap.NULL, zmtp.Null{}, server, "alice"},
		{zap.PLAIN, zmtp.Plain{User: "alice", Password: "secret"}, server, "alice"},
		{zap.BEARER, zmtp.Bearer{Token: "token"}, server, "alice"},
		{zap.CURVE, zmtp.Curve{Public: clientPublic, Secret: clientSecret, ServerKey: serverPublic}, server, "alice"},
	}
}

func newKeys(t testing.TB) (public, secret [32]byte) {
	t.Helper()
	if _, err := rand.Read(secret[:]); err != nil {
		t.Fatal(err)
	}
	curve25519.ScalarBaseMult(&public, &secret)
	return public, secret
}

// connect makes a client and a server that are connected over one kind of transport.
type connect func(t testing.TB, l login, client, server zmtp.Options) (c, s *zmtp.Conn, err error)

// overListener connects through a Listener.
func overListener(endpoint func(t testing.TB) string) connect {
	return func(t testing.TB, l login, client, server zmtp.Options) (*zmtp.Conn, *zmtp.Conn, error) {
		listener, err := zmtp.Listen(endpoint(t), l.mechanism, l.server, zmtp.ListenOptions{Options: server})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		c, err := zmtp.Dial(t.Context(), listener.Endpoint(), l.client, client)
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
func overPipe(t testing.TB, l login, client, server zmtp.Options) (*zmtp.Conn, *zmtp.Conn, error) {
	a, b := net.Pipe()
	return handshake(t, a, b, l, client, server)
}

// handshake makes connections of both ends of a transport.
func handshake(t testing.TB, a, b net.Conn, l login, client, server zmtp.Options) (*zmtp.Conn, *zmtp.Conn, error) {
	type result struct {
		c   *zmtp.Conn
		err error
	}
	served := make(chan result)
	go func() {
		s, err := zmtp.Server(t.Context(), b, l.mechanism, l.server, server)
		served <- result{s, err}
	}()
	c, err := zmtp.Client(t.Context(), a, l.client, client)
	s := <-served
	if err = errors.Join(err, s.err); err != nil {
		return nil, nil, err
	}
	t.Cleanup(func() { c.Close(); s.c.Close() })
	return c, s.c, nil
}

func endpoints(t testing.TB) map[string]connect {
	fixed := func(e string) func(testing.TB) string { return func(testing.TB) string { return e } }
	m := map[string]connect{
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

func TestMatrix(t *testing.T) {
	messages := []zmtp.Message{
		{[]byte("one")},
		{[]byte("two"), []byte{}, []byte("frames and an empty one")},
		{[]byte(strings.Repeat("x", 255))},
		{[]byte(strings.Repeat("y", 256))},
		{[]byte("h"), []byte(strings.Repeat("z", 300_000))},
	}
	for name, connect := range endpoints(t) {
		for _, l := range logins(t) {
			t.Run(name+" "+string(l.mechanism), func(t *testing.T) {
				c, s, err := connect(t, l,
					zmtp.Options{SocketType: zmtp.DEALER, RoutingID: []byte("me"), Metadata: zap.Metadata{{Name: "X-Colour", Value: "blue"}}},
					zmtp.Options{SocketType: zmtp.ROUTER})
				if err != nil {
					t.Fatal(err)
				}
				if p := s.Peer(); p.SocketType() != zmtp.DEALER || string(p.RoutingID()) != "me" || p.Metadata.Get("x-colour") != "blue" || p.Reply.UserID != l.user {
					t.Errorf("the server sees the peer as %v, let in as %v", p.Metadata, p.Reply)
				}
				if p := c.Peer(); p.SocketType() != zmtp.ROUTER || p.Mechanism != l.mechanism {
					t.Errorf("the client sees the peer as %v over %s", p.Metadata, p.Mechanism)
				}
				exchange(t, c, s, messages)
				exchange(t, s, c, messages)
			})
		}
	}
}

// exchange sends all messages in one write and reads them at the other end.
func exchange(t *testing.T, from, to *zmtp.Conn, messages []zmtp.Message) {
	t.Helper()
	sent := make(chan error)
	go func() { sent <- from.Write(messages...) }()
	for _, want := range messages {
		got, err := to.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(want, got, bytes.Equal) {
			t.Fatalf("got %d frames, %d octets: %.80q; want %d, %d", len(got), got.Size(), got, len(want), want.Size())
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
}
