package bridge_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// step is one message of a conversation: what one side sends and the other receives.
type step struct {
	fromClient  bool
	sent, heard []string
}

// conversations are what a client and a device say to each other through each of the eleven
// socket types that a route can open. The frames are those of a direct connection.
var conversations = []struct {
	socket, client, device zmtp.SocketType
	steps                  []step
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
		{true, []string{"device", "do"}, []string{"do"}},
		{false, []string{"done"}, []string{"device", "done"}},
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

// TestSockets has every conversation with a device that listens.
func TestSockets(t *testing.T) {
	for _, tc := range conversations {
		t.Run(fmt.Sprintf("%s for %s", tc.socket, tc.client), func(t *testing.T) {
			l, err := zmtp.Listen("tcp://127.0.0.1:0", zap.NULL, nativeSecurity(answer(zap.OK)),
				zmtp.ListenOptions{Options: zmtp.Options{SocketType: tc.device, RoutingID: []byte("device")}})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			url, _ := start(t, usersOnly+routeTo("/d", tc.socket, l.Endpoint()))
			c := connect(t, url+"/d", byPassword("alice", tc.client))
			device, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer device.Close()
			converse(t, c, device, tc.steps)
		})
	}
}

// converse goes through the steps.
func converse(t *testing.T, c *zws.Client, device *zmtp.Conn, steps []step) {
	t.Helper()
	for i, s := range steps {
		send := func(m zmtp.Message) error { return device.Write(m) }
		receive := c.Recv
		if s.fromClient {
			send, receive = c.Send, device.ReadMessage
		}
		if err := send(message(s.sent...)); err != nil {
			t.Fatalf("step %d: %v", i+1, err)
		}
		if s.heard == nil {
			continue
		}
		m, err := receive()
		if err != nil {
			t.Fatalf("step %d: %v", i+1, err)
		}
		if got := texts(m); !slices.Equal(got, s.heard) {
			t.Errorf("step %d: got %q, want %q", i+1, got, s.heard)
		}
	}
}

// TestBoundSockets has the conversations with a device that dials in, as one behind NAT.
// A request carries an envelope there, which a device echoes without knowing.
func TestBoundSockets(t *testing.T) {
	for _, tc := range conversations {
		if tc.socket == zmtp.REP || tc.socket == zmtp.PAIR {
			continue // check refuses them with bind
		}
		t.Run(fmt.Sprintf("%s for %s", tc.socket, tc.client), func(t *testing.T) {
			endpoint := nobody(t)
			url, _ := start(t, boundTo(tc.socket, endpoint, ""))
			device := dialIn(t, endpoint, tc.device)
			c := connect(t, url+"/d", byPassword("alice", tc.client))
			if tc.socket == zmtp.DEALER || tc.socket == zmtp.REQ {
				echo(t, c, device)
				return
			}
			converse(t, c, device, tc.steps)
		})
	}
}

// echo has the device answer with the envelope in front, as REP and ROUTER do.
func echo(t *testing.T, c *zws.Client, device *zmtp.Conn) {
	t.Helper()
	if err := c.Send(message("", "question")); err != nil {
		t.Fatal(err)
	}
	m, err := device.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	if len(m) != 3 || len(m[0]) != 9 || string(m[2]) != "question" {
		t.Fatalf("the device hears %q, want an envelope of 9 octets, the delimiter and the question", m)
	}
	if err := device.Write(zmtp.Message{m[0], nil, []byte("answer")}); err != nil {
		t.Fatal(err)
	}
	if m, err = c.Recv(); err != nil || !slices.Equal(texts(m), []string{"", "answer"}) {
		t.Errorf("got %q, %v, want the answer behind its delimiter", m, err)
	}
}
