package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

var quiet = slog.New(slog.DiscardHandler)

// admits accepts users whose password is their name.
var admits = zap.HandlerFunc(func(_ context.Context, req *zap.Request) (*zap.Reply, error) {
	user, password, ok := req.Plain()
	switch {
	case !ok:
		return nil, zap.Pass("no password")
	case user != password:
		return &zap.Reply{Status: zap.Refused, Text: "wrong"}, nil
	}
	return &zap.Reply{Status: zap.OK, Text: "OK", UserID: user, Metadata: zap.Metadata{{Name: "Tags", Value: req.Domain}}}, nil
})

func serve(t testing.TB, o ServerOptions) *Server {
	t.Helper()
	if o.Endpoint == "" {
		o.Endpoint = "tcp://127.0.0.1:*"
	}
	o.Logger = quiet
	s, err := Listen(o)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// connect connects a socket of the given type to the server.
func connect(t testing.TB, s *Server, socket zmtp.SocketType) *zmtp.Conn {
	t.Helper()
	c, err := zmtp.Dial(t.Context(), s.Endpoint(), zmtp.Null{}, zmtp.Options{SocketType: socket})
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func message(frames ...string) zmtp.Message {
	m := make(zmtp.Message, len(frames))
	for i := range frames {
		m[i] = []byte(frames[i])
	}
	return m
}

func text(m zmtp.Message) []string {
	s := make([]string, len(m))
	for i := range m {
		s[i] = string(m[i])
	}
	return s
}

// TestEnvelopes: the envelope, including the delimiter, comes back.
func TestEnvelopes(t *testing.T) {
	s := serve(t, ServerOptions{Handler: admits})
	tags := string(zap.Metadata{{Name: "Tags", Value: "test"}}.Append(nil))
	for name, c := range map[string]struct {
		socket   zmtp.SocketType
		envelope []string
	}{
		"REQ":             {zmtp.REQ, []string{""}},
		"DEALER":          {zmtp.DEALER, []string{""}},
		"one hop":         {zmtp.DEALER, []string{"\x00\x01", ""}},
		"ROUTER":          {zmtp.ROUTER, []string{"\x00abcd", ""}},
		"three hops":      {zmtp.DEALER, []string{"a", "b", "c", ""}},
		"as many as fits": {zmtp.DEALER, append(strings.Split(strings.Repeat("r", zap.MaxEnvelope), ""), "")},
	} {
		t.Run(name, func(t *testing.T) {
			conn := connect(t, s, c.socket)
			must(t, conn.Write(message(append(c.envelope, "1.0", "0001", "test", "192.168.55.1", "BOB", "PLAIN", "joe", "joe")...)))
			got, err := conn.ReadMessage()
			must(t, err)
			if d := cmp.Diff(append(c.envelope, "1.0", "0001", "200", "OK", "joe", tags), text(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestAnswers: the status for each decision and for malformed requests.
func TestAnswers(t *testing.T) {
	s := serve(t, ServerOptions{Handler: zap.HandlerFunc(func(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
		switch user, _, _ := req.Plain(); user {
		case "down":
			return nil, errors.New("the database is down")
		case "panic":
			panic("oops")
		case "umlaut":
			return &zap.Reply{Status: zap.OK, UserID: "zoë"}, nil
		}
		return admits.Authenticate(ctx, req)
	})})
	conn := connect(t, s, zmtp.DEALER)
	for name, c := range map[string]struct {
		request []string
		status  string
	}{
		"accepted":         {[]string{"1.0", "\x00\xff", "d", "", "", "PLAIN", "a", "a"}, "200"},
		"refused":          {[]string{"1.0", "2", "d", "", "", "PLAIN", "a", "b"}, "400"},
		"passed":           {[]string{"1.0", "", "d", "", "", "NULL"}, "400"},
		"an error":         {[]string{"1.0", "4", "d", "", "", "PLAIN", "down", ""}, "300"},
		"a panic":          {[]string{"1.0", "5", "d", "", "", "PLAIN", "panic", ""}, "500"},
		"not expressible":  {[]string{"1.0", "6", "d", "", "", "PLAIN", "umlaut", ""}, "500"},
		"another version":  {[]string{"0.9", "7", "d", "", "", "NULL"}, "500"},
		"five frames":      {[]string{"1.0", "8", "d", "", ""}, "500"},
		"empty domain":     {[]string{"1.0", "9", "", "", "", "NULL"}, "500"},
		"PLAIN of one":     {[]string{"1.0", "10", "d", "", "", "PLAIN", "a"}, "500"},
		"unknown":          {[]string{"1.0", "11", "d", "", "", "GSSAPI", "x"}, "400"},
		"only version, id": {[]string{"1.0", "12"}, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, conn.Write(message(append([]string{""}, c.request...)...)))
			got, err := conn.ReadMessage()
			must(t, err)
			if r := text(got); len(r) != 7 || r[0] != "" || r[1] != "1.0" || r[2] != c.request[1] || r[3] != c.status {
				t.Errorf("reply %q, want status %s", r, c.status)
			}
		})
	}
}

// TestMisbehavingServers: a peer that sends what cannot be answered is disconnected, and others
// are not affected.
func TestMisbehavingServers(t *testing.T) {
	s := serve(t, ServerOptions{Handler: admits})
	fine := connect(t, s, zmtp.REQ)
	for name, request := range map[string]zmtp.Message{
		"no delimiter":      message("1.0", "1", "d", "127.0.0.1", "i", "NULL"),
		"no id":             message("", "1.0"),
		"only a delimiter":  message(""),
		"a long id":         message("", "1.0", strings.Repeat("i", zap.MaxRequestID+1), "d", "", "", "NULL"),
		"a deep envelope":   append(message(strings.Split(strings.Repeat("r", zap.MaxEnvelope+1), "")...), message("", "1.0", "1", "d", "", "", "NULL")...),
		"a huge credential": append(message("", "1.0", "1", "d", "", "", "BEARER"), make([]byte, 64<<10+1)),
		"many frames":       append(message("", "1.0", "1", "d", "", "", "X"), make(zmtp.Message, 64)...),
	} {
		t.Run(name, func(t *testing.T) {
			bad := connect(t, s, zmtp.DEALER)
			bad.Write(request) // may fail if the server closes the connection during the write
			if m, err := bad.ReadMessage(); err == nil {
				t.Errorf("answered with %q", m)
			}
			must(t, fine.Write(message("", "1.0", "1", "test", "", "", "PLAIN", "joe", "joe")))
			if m, err := fine.ReadMessage(); err != nil || string(m[3]) != "200" {
				t.Errorf("the good peer: %q, %v", m, err)
			}
		})
	}
}

// TestBounds: the requests of a peer beyond its limit wait without affecting another peer, and
// a peer beyond the limit of peers is disconnected.
func TestBounds(t *testing.T) {
	entered, release := make(chan struct{}, 10), make(chan struct{})
	s := serve(t, ServerOptions{MaxRequests: 2, MaxServers: 2, Handler: zap.HandlerFunc(func(ctx context.Context, req *zap.Request) (*zap.Reply, error) {
		if user, _, _ := req.Plain(); user != "quick" {
			entered <- struct{}{}
			<-release
		}
		return &zap.Reply{Status: zap.OK}, nil
	})})
	greedy, modest := connect(t, s, zmtp.DEALER), connect(t, s, zmtp.REQ)
	for i := range 5 {
		must(t, greedy.Write(message("", "1.0", fmt.Sprint(i), "d", "", "", "PLAIN", "slow", "")))
	}
	<-entered
	<-entered
	must(t, modest.Write(message("", "1.0", "1", "d", "", "", "PLAIN", "quick", "")))
	if m, err := modest.ReadMessage(); err != nil || string(m[3]) != "200" {
		t.Errorf("the modest peer: %q, %v", m, err)
	}
	if len(entered) != 0 {
		t.Errorf("%d requests beyond the limit reached the handler", len(entered))
	}
	third, err := zmtp.Dial(t.Context(), s.Endpoint(), zmtp.Null{}, zmtp.Options{SocketType: zmtp.DEALER})
	if err == nil {
		defer third.Close()
		if m, err := third.ReadMessage(); err == nil {
			t.Errorf("the third server got %q", m)
		}
	}
	close(release)
	for range 5 {
		if m, err := greedy.ReadMessage(); err != nil || string(m[3]) != "200" {
			t.Errorf("the greedy peer: %q, %v", m, err)
		}
	}
}

// TestServerClose: Close cancels pending requests.
func TestServerClose(t *testing.T) {
	entered := make(chan struct{})
	s := serve(t, ServerOptions{Handler: zap.HandlerFunc(func(ctx context.Context, _ *zap.Request) (*zap.Reply, error) {
		close(entered)
		<-ctx.Done()
		return nil, ctx.Err()
	})})
	conn := connect(t, s, zmtp.REQ)
	must(t, conn.Write(message("", "1.0", "1", "d", "", "", "NULL")))
	<-entered
	must(t, s.Close())
	for {
		if _, err := conn.ReadMessage(); err != nil {
			break
		}
	}
}

// TestPeerGoes: a request is canceled when its peer disconnects.
func TestPeerGoes(t *testing.T) {
	entered, given := make(chan struct{}), make(chan struct{})
	s := serve(t, ServerOptions{Handler: zap.HandlerFunc(func(ctx context.Context, _ *zap.Request) (*zap.Reply, error) {
		close(entered)
		<-ctx.Done()
		close(given)
		return nil, ctx.Err()
	})})
	conn := connect(t, s, zmtp.REQ)
	must(t, conn.Write(message("", "1.0", "1", "d", "", "", "NULL")))
	<-entered
	must(t, conn.Close())
	<-given
}

// TestCurve: with CURVE, only peers with known keys may connect.
func TestCurve(t *testing.T) {
	ours, known, stranger := pair(t), pair(t), pair(t)
	s := serve(t, ServerOptions{
		Handler:     admits,
		CurvePublic: ours.Public,
		CurveSecret: ours.Secret,
		Clients: zap.HandlerFunc(func(_ context.Context, req *zap.Request) (*zap.Reply, error) {
			if req.Domain != Domain || req.Mechanism != zap.CURVE || string(req.Credentials[0]) != string(known.Public[:]) {
				return nil, zap.Pass("unknown key")
			}
			return &zap.Reply{Status: zap.OK, UserID: "server 1"}, nil
		}),
	})
	for name, c := range map[string]struct {
		security zmtp.ClientSecurity
		want     zap.Status
	}{
		"a known key":      {zmtp.Curve{Public: known.Public, Secret: known.Secret, ServerKey: ours.Public}, zap.OK},
		"an unknown key":   {zmtp.Curve{Public: stranger.Public, Secret: stranger.Secret, ServerKey: ours.Public}, zap.Temporary},
		"wrong server key": {zmtp.Curve{Public: known.Public, Secret: known.Secret, ServerKey: stranger.Public}, zap.Temporary},
		"NULL":             {zmtp.Null{}, zap.Temporary},
	} {
		client := ask(t, s.Endpoint(), Options{Security: c.security, Timeout: 10 * time.Second})
		if r := zap.Decide(t.Context(), client, plain("joe", "joe")); r.Status != c.want {
			t.Errorf("%s: %+v, want %d", name, r, c.want)
		}
	}
}

// TestThroughBoth: our client asks our server.
func TestThroughBoth(t *testing.T) {
	s := serve(t, ServerOptions{Handler: admits, Endpoint: "ipc://" + t.TempDir() + "/zap"})
	c := ask(t, s.Endpoint(), Options{})
	var asked sync.WaitGroup
	for i := range 200 {
		asked.Go(func() {
			user := fmt.Sprint("user", i)
			if r := zap.Decide(t.Context(), c, plain(user, user)); r.UserID != user || r.Metadata.Get("Tags") != "global" {
				t.Errorf("%s: %+v", user, r)
			}
			if r := zap.Decide(t.Context(), c, plain(user, "wrong")); r.Status != zap.Refused {
				t.Errorf("%s with a wrong password: %+v", user, r)
			}
		})
	}
	asked.Wait()
}

// TestNativeHandler: our client asks a handler on a ROUTER socket of go-zeromq. (Its REP socket
// splits the envelope at the last empty frame instead of the first, and so loses what comes
// before an empty identity.)
func TestNativeHandler(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	router := zmq4.NewRouter(ctx)
	must(t, router.Listen("tcp://127.0.0.1:0"))
	var running sync.WaitGroup
	running.Go(func() {
		for {
			m, err := router.Recv()
			if err != nil {
				return
			}
			status, user := "400", ""
			if f := m.Frames; len(f) == 10 && string(f[8]) == string(f[9]) {
				status, user = "200", string(f[8])
			}
			router.Send(zmq4.NewMsgFrom(message(string(m.Frames[0]), "", "1.0", string(m.Frames[3]), status, "", user, "")...))
		}
	})
	defer running.Wait()
	defer router.Close()
	defer cancel()
	c := ask(t, "tcp://"+router.Addr().String(), Options{})
	if r := zap.Decide(t.Context(), c, plain("joe", "joe")); r.UserID != "joe" {
		t.Errorf("reply %+v", r)
	}
	if r := zap.Decide(t.Context(), c, plain("joe", "x")); r.Status != zap.Refused {
		t.Errorf("wrong password: %+v", r)
	}
	c.Close()
}

// TestNativeServers: REQ and DEALER sockets of go-zeromq ask our handler.
func TestNativeServers(t *testing.T) {
	s := serve(t, ServerOptions{Handler: admits})
	request := []string{"1.0", "0001", "test", "127.0.0.1", "", "PLAIN", "joe", "joe"}
	for name, c := range map[string]struct {
		socket    func(context.Context, ...zmq4.Option) zmq4.Socket
		delimiter []string
	}{
		"REQ":    {zmq4.NewReq, nil},
		"DEALER": {zmq4.NewDealer, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			socket := c.socket(ctx, zmq4.WithAutomaticReconnect(false))
			defer socket.Close()
			must(t, socket.Dial(s.Endpoint()))
			must(t, socket.Send(zmq4.NewMsgFrom(message(append(c.delimiter, request...)...)...)))
			m, err := socket.Recv()
			must(t, err)
			tags := string(zap.Metadata{{Name: "Tags", Value: "test"}}.Append(nil))
			if d := cmp.Diff(append(c.delimiter, "1.0", "0001", "200", "OK", "joe", tags), text(m.Frames)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestListenErrors(t *testing.T) {
	if _, err := Listen(ServerOptions{Endpoint: "tcp://127.0.0.1:*"}); err == nil {
		t.Error("without a handler: no error")
	}
	if _, err := Listen(ServerOptions{Endpoint: "tcp://127.0.0.1:*", Handler: anybody, MaxRequests: -1}); err == nil {
		t.Error("a negative bound: no error")
	}
	s := serve(t, ServerOptions{Handler: anybody})
	if _, err := Listen(ServerOptions{Endpoint: s.Endpoint(), Handler: anybody}); err == nil {
		t.Error("an endpoint that is taken: no error")
	}
}

func BenchmarkThroughBoth(b *testing.B) {
	s := serve(b, ServerOptions{Handler: admits})
	c := ask(b, s.Endpoint(), Options{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if zap.Decide(b.Context(), c, plain("joe", "joe")).Status != zap.OK {
				b.Error("refused")
			}
		}
	})
}
