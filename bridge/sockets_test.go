package bridge_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// step is one message: what one side sends and the other receives.
type step struct {
	fromClient     bool
	sent, received []string
}

// exchanges are messages between a client and a backend through each of the eleven socket types
// that a route can open. The frames are those of a direct connection.
var exchanges = []struct {
	socket, client, backend zmtp.SocketType
	steps                   []step
}{
	{zmtp.SUB, zmtp.SUB, zmtp.PUB, []step{
		{true, []string{"\x01a"}, []string{"\x01a"}},
		{false, []string{"a/1", "21"}, []string{"a/1", "21"}},
		{true, []string{"\x00a"}, nil},
	}},
	{zmtp.XSUB, zmtp.XSUB, zmtp.XPUB, []step{
		{true, []string{"\x01"}, []string{"\x01"}},
		{false, []string{"b", "x", ""}, []string{"b", "x", ""}},
		{true, []string{"to the publisher", "x"}, []string{"to the publisher", "x"}},
	}},
	{zmtp.DEALER, zmtp.DEALER, zmtp.ROUTER, []step{
		{true, []string{"one", "two"}, []string{"one", "two"}},
		{false, []string{"three"}, []string{"three"}},
		{false, []string{"four"}, []string{"four"}},
	}},
	{zmtp.DEALER, zmtp.REQ, zmtp.REP, []step{
		{true, []string{"", "question"}, []string{"", "question"}},
		{false, []string{"", "answer"}, []string{"", "answer"}},
	}},
	{zmtp.REQ, zmtp.REQ, zmtp.REP, []step{
		{true, []string{"", "question"}, []string{"", "question"}},
		{false, []string{"", "answer"}, []string{"", "answer"}},
		{true, []string{"", "another"}, []string{"", "another"}},
		{false, []string{"", "answer", "2"}, []string{"", "answer", "2"}},
	}},
	{zmtp.ROUTER, zmtp.DEALER, zmtp.DEALER, []step{
		{true, []string{"backend", "do"}, []string{"do"}},
		{false, []string{"done"}, []string{"backend", "done"}},
	}},
	{zmtp.REP, zmtp.REP, zmtp.REQ, []step{
		{false, []string{"", "question"}, []string{"", "question"}},
		{true, []string{"", "answer"}, []string{"", "answer"}},
	}},
	{zmtp.PUSH, zmtp.PUSH, zmtp.PULL, []step{
		{true, []string{"job", "1"}, []string{"job", "1"}},
		{true, []string{"job", "2"}, []string{"job", "2"}},
	}},
	{zmtp.PULL, zmtp.PULL, zmtp.PUSH, []step{
		{false, []string{"job", "1"}, []string{"job", "1"}},
	}},
	{zmtp.PUB, zmtp.PUB, zmtp.SUB, []step{
		{false, []string{"\x01a"}, []string{"\x01a"}},
		{true, []string{"a/1", "x"}, []string{"a/1", "x"}},
	}},
	{zmtp.XPUB, zmtp.XPUB, zmtp.XSUB, []step{
		{false, []string{"\x01"}, []string{"\x01"}},
		{true, []string{"b", "x"}, []string{"b", "x"}},
	}},
	{zmtp.PAIR, zmtp.PAIR, zmtp.PAIR, []step{
		{true, []string{"hello"}, []string{"hello"}},
		{false, []string{"hello", "yourself"}, []string{"hello", "yourself"}},
	}},
}

// TestSocketTypes runs every exchange with a backend that listens.
func TestSocketTypes(t *testing.T) {
	for _, tc := range exchanges {
		t.Run(fmt.Sprintf("%s for %s", tc.socket, tc.client), func(t *testing.T) {
			l, err := zmtp.Listen("tcp://127.0.0.1:0", zap.NULL, nativeSecurity(always(zap.OK)),
				zmtp.ListenOptions{Options: zmtp.Options{SocketType: tc.backend, RoutingID: []byte("backend")}})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			url, _ := start(t, usersOnly+routeTo("/d", tc.socket, l.Endpoint()))
			c := connect(t, url+"/d", plainLogin("alice", tc.client))
			backend, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer backend.Close()
			exchange(t, c, backend, tc.steps)
		})
	}
}

// exchange runs the steps.
func exchange(t *testing.T, c *zws.Client, backend *zmtp.Conn, steps []step) {
	t.Helper()
	for i, s := range steps {
		send := func(m zmtp.Message) error { return backend.Write(m) }
		receive := func() (zmtp.Message, error) { return c.Recv(t.Context()) }
		if s.fromClient {
			send = func(m zmtp.Message) error { return c.Send(t.Context(), m) }
			receive = backend.ReadMessage
		}
		if err := send(message(s.sent...)); err != nil {
			t.Fatalf("step %d: %v", i+1, err)
		}
		if s.received == nil {
			continue
		}
		m, err := receive()
		if err != nil {
			t.Fatalf("step %d: %v", i+1, err)
		}
		if got := texts(m); !slices.Equal(got, s.received) {
			t.Errorf("step %d: got %q, want %q", i+1, got, s.received)
		}
	}
}

// TestBoundSocketTypes runs the exchanges with a backend that connects to a bind endpoint, as
// one behind NAT. Requests have an envelope there, which the backend returns.
func TestBoundSocketTypes(t *testing.T) {
	for _, tc := range exchanges {
		if tc.socket == zmtp.REP || tc.socket == zmtp.PAIR {
			continue // not allowed with bind
		}
		t.Run(fmt.Sprintf("%s for %s", tc.socket, tc.client), func(t *testing.T) {
			endpoint := unusedEndpoint(t)
			url, _ := start(t, bindConfig(tc.socket, endpoint, ""))
			backend := dialBackend(t, endpoint, tc.backend)
			c := connect(t, url+"/d", plainLogin("alice", tc.client))
			if tc.socket == zmtp.DEALER || tc.socket == zmtp.REQ {
				exchangeEnvelope(t, c, backend)
				return
			}
			exchange(t, c, backend, tc.steps)
		})
	}
}

// exchangeEnvelope sends a request and has the backend reply with its envelope, as REP and
// ROUTER do.
func exchangeEnvelope(t *testing.T, c *zws.Client, backend *zmtp.Conn) {
	t.Helper()
	if err := c.Send(t.Context(), message("", "question")); err != nil {
		t.Fatal(err)
	}
	m, err := backend.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	if len(m) != 3 || len(m[0]) != 9 || string(m[2]) != "question" {
		t.Fatalf("the backend got %q, want an envelope of 9 bytes, the delimiter and the question", m)
	}
	if err := backend.Write(zmtp.Message{m[0], nil, []byte("answer")}); err != nil {
		t.Fatal(err)
	}
	if m, err = c.Recv(t.Context()); err != nil || !slices.Equal(texts(m), []string{"", "answer"}) {
		t.Errorf("got %q, %v, want the delimiter and the answer", m, err)
	}
}
