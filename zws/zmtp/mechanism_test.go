package zmtp

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
)

const (
	testUser     = "anna"
	testPassword = "geheim-7!"
	testToken    = "header.payload.signature"
	testAddress  = "192.0.2.7"
	testDomain   = "house"
)

var (
	dealer = zap.Metadata{{Name: "Socket-Type", Value: "DEALER"}, {Name: "Identity", Value: "panel-1"}}
	router = zap.Metadata{{Name: "Socket-Type", Value: "ROUTER"}}
)

// testKeys returns a random long-term key pair.
func testKeys(t testing.TB) (public, secret [32]byte) {
	t.Helper()
	public, secret, err := newKeyPair(randomOr(nil))
	if err != nil {
		t.Fatal(err)
	}
	return public, secret
}

// accept is a ZAP handler that accepts everybody.
func accept(context.Context, *zap.Request) (*zap.Reply, error) {
	return &zap.Reply{Status: zap.OK, UserID: "anna"}, nil
}

// pair holds matching configurations of both sides of a mechanism. Tests change parts of it.
type pair struct {
	client ClientSecurity
	server ServerSecurity
}

func newPair(t testing.TB, m zap.Mechanism) *pair {
	t.Helper()
	p := &pair{server: ServerSecurity{
		Handler: zap.HandlerFunc(accept), Domain: testDomain, Address: testAddress, Local: router,
	}}
	switch m {
	case zap.NULL:
		p.client = Null{}
	case zap.PLAIN:
		p.client = Plain{User: testUser, Password: testPassword}
	case zap.BEARER:
		p.client = Bearer{Token: testToken}
	case zap.CURVE:
		var c Curve
		c.Public, c.Secret = testKeys(t)
		p.server.CurvePublic, p.server.CurveSecret = testKeys(t)
		c.ServerKey = p.server.CurvePublic
		p.client = c
	}
	return p
}

// sides returns both sides of one handshake.
func (p *pair) sides(t testing.TB) (client, server Mechanism) {
	t.Helper()
	client, err := p.client.NewClient(dealer)
	if err != nil {
		t.Fatal(err)
	}
	server, err = NewServer(p.client.Name(), p.server)
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

// outcome is the result of a handshake.
type outcome struct {
	commands             []string // the names in the order in which they were sent, as "C:HELLO"
	clientErr, serverErr error
}

// shake passes commands between the two sides, encoded, until neither sends any more.
func shake(t testing.TB, client, server Mechanism) (o outcome) {
	t.Helper()
	out, err := client.Next(t.Context(), nil)
	if err != nil {
		t.Fatalf("client's first command: %v", err)
	}
	toServer := true
	for out != nil {
		encoded := out.Append(nil)
		in, err := ParseCommand(encoded)
		if err != nil {
			t.Fatalf("%s cannot be parsed: %v", out.Name, err)
		}
		if toServer {
			o.commands = append(o.commands, "C:"+out.Name)
			out, err = server.Next(t.Context(), &in)
			o.serverErr = err
		} else {
			o.commands = append(o.commands, "S:"+out.Name)
			out, err = client.Next(t.Context(), &in)
			o.clientErr = err
		}
		for i := range encoded {
			encoded[i] = 0xAA // Next must not keep it
		}
		toServer = !toServer
	}
	return o
}

var flows = map[zap.Mechanism][]string{
	zap.NULL:   {"C:READY", "S:READY"},
	zap.PLAIN:  {"C:HELLO", "S:WELCOME", "C:INITIATE", "S:READY"},
	zap.BEARER: {"C:HELLO", "S:WELCOME", "C:INITIATE", "S:READY"},
	zap.CURVE:  {"C:HELLO", "S:WELCOME", "C:INITIATE", "S:READY"},
}

var mechanisms = []zap.Mechanism{zap.NULL, zap.PLAIN, zap.BEARER, zap.CURVE}

func forEachMechanism(t *testing.T, f func(t *testing.T, m zap.Mechanism)) {
	for _, m := range mechanisms {
		t.Run(string(m), func(t *testing.T) { f(t, m) })
	}
}

// TestHandshake checks the commands, the ZAP request, and what each side knows of the other.
func TestHandshake(t *testing.T) {
	forEachMechanism(t, func(t *testing.T, m zap.Mechanism) {
		p := newPair(t, m)
		var asked []*zap.Request
		p.server.Handler = zap.HandlerFunc(func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
			asked = append(asked, r)
			return &zap.Reply{Status: zap.OK, UserID: "anna", Text: "welcome"}, nil
		})
		client, server := p.sides(t)
		if out, err := server.Next(t.Context(), nil); out != nil || err != nil {
			t.Fatalf("server before the first command: %v, %v", out, err)
		}
		if client.Peer() != nil || server.Peer() != nil {
			t.Error("Peer is not nil before the handshake")
		}
		got := shake(t, client, server)
		if diff := cmp.Diff(flows[m], got.commands); diff != "" {
			t.Errorf("commands: %s", diff)
		}
		if got.clientErr != nil || got.serverErr != nil || !client.Done() || !server.Done() {
			t.Fatalf("client: %v, done %v; server: %v, done %v", got.clientErr, client.Done(), got.serverErr, server.Done())
		}

		credentials := credentialsOf(p.client)
		routingID := []byte("panel-1")
		if m == zap.PLAIN || m == zap.BEARER {
			routingID = []byte{} // HELLO precedes the metadata
		}
		want := []*zap.Request{{Domain: testDomain, Address: testAddress, RoutingID: routingID, Mechanism: m, Credentials: credentials}}
		if diff := cmp.Diff(want, asked); diff != "" {
			t.Errorf("ZAP requests: %s", diff)
		}
		if diff := cmp.Diff(&Peer{Mechanism: m, Metadata: router}, client.Peer()); diff != "" {
			t.Errorf("Peer of the client: %s", diff)
		}
		wantPeer := &Peer{Mechanism: m, Metadata: dealer, Credentials: credentials,
			Reply: &zap.Reply{Status: zap.OK, UserID: "anna", Text: "welcome"}}
		if diff := cmp.Diff(wantPeer, server.Peer()); diff != "" {
			t.Errorf("Peer of the server: %s", diff)
		}
		if client.Name() != m || server.Name() != m {
			t.Errorf("names %s and %s", client.Name(), server.Name())
		}
	})
}

func credentialsOf(c ClientSecurity) [][]byte {
	switch c := c.(type) {
	case Plain:
		return [][]byte{[]byte(c.User), []byte(c.Password)}
	case Bearer:
		return [][]byte{[]byte(c.Token)}
	case Curve:
		return [][]byte{c.Public[:]}
	}
	return nil
}

// TestTraffic encodes frames on one side and decodes them on the other.
func TestTraffic(t *testing.T) {
	frames := []Frame{
		{Body: []byte{}},
		{Body: []byte("x")},
		{More: true, Body: []byte("house/anna/kitchen")},
		{Command: true, Body: []byte("\x04PING\x00\x0a")},
		{Body: bytes.Repeat([]byte("0123456789abcdef"), keptBuffer/16)},
		{Body: []byte("after a frame whose buffer was not kept")},
	}
	forEachMechanism(t, func(t *testing.T, m zap.Mechanism) {
		client, server := newPair(t, m).sides(t)
		for _, side := range []Mechanism{client, server} {
			if _, err := side.Encode(frames[1]); err == nil {
				t.Error("Encode worked before the handshake")
			}
			if _, err := side.Decode(frames[1]); err == nil {
				t.Error("Decode worked before the handshake")
			}
		}
		shake(t, client, server)
		for _, way := range []struct{ from, to Mechanism }{{client, server}, {server, client}} {
			for i, want := range frames {
				sent, err := way.from.Encode(want)
				if err != nil {
					t.Fatal(err)
				}
				if m == zap.CURVE && (sent.More || sent.Command) {
					t.Errorf("frame %d: MESSAGE is sent with flags %+v, want none", i, sent)
				}
				got, err := way.to.Decode(sent)
				if err != nil {
					t.Fatalf("frame %d: %v", i, err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("frame %d: %s", i, diff)
				}
			}
		}
	})
}

// TestNextAfterTheEnd checks that a failed handshake stays failed and that a complete one
// accepts no command.
func TestNextAfterTheEnd(t *testing.T) {
	forEachMechanism(t, func(t *testing.T, m zap.Mechanism) {
		client, server := newPair(t, m).sides(t)
		shake(t, client, server)
		for _, side := range []Mechanism{client, server} {
			if out, err := side.Next(t.Context(), nil); out != nil || err != nil {
				t.Errorf("Next(nil) after the handshake: %v, %v", out, err)
			}
			out, err := side.Next(t.Context(), &Command{Name: cmdReady})
			if out != nil || !errors.Is(err, ErrProtocol) {
				t.Errorf("READY after the handshake: %v, %v", out, err)
			}
		}

		_, server = newPair(t, m).sides(t)
		_, first := server.Next(t.Context(), &Command{Name: "NONSENSE"})
		if !errors.Is(first, ErrProtocol) {
			t.Errorf("NONSENSE: %v", first)
		}
		for _, in := range []*Command{nil, {Name: cmdHello}, {Name: cmdReady}} {
			if out, err := server.Next(t.Context(), in); out != nil || err != first || server.Done() {
				t.Errorf("after a failure: %v, %v", out, err)
			}
		}
	})
}
