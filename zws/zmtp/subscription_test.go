package zmtp

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSubscription(t *testing.T) {
	for _, test := range []struct {
		s             Subscription
		name, message string
	}{
		{Subscription{Topic: []byte("house/")}, "SUBSCRIBE", "\x01house/"},
		{Subscription{Topic: []byte{}}, "SUBSCRIBE", "\x01"},
		{Subscription{Topic: []byte("house/"), Cancel: true}, "CANCEL", "\x00house/"},
		{Subscription{Topic: []byte{}, Cancel: true}, "CANCEL", "\x00"},
	} {
		message := test.s.Message()
		if len(message) != 1 || string(message[0]) != test.message {
			t.Errorf("%+v has the message %q, want %q", test.s, message, test.message)
		}
		if s, ok := ParseSubscription(message); !ok || !cmp.Equal(s, test.s) {
			t.Errorf("message %q is parsed as %+v, %t; want %+v", message, s, ok, test.s)
		}
		command := test.s.Command()
		if command.Name != test.name || string(command.Data) != string(test.s.Topic) {
			t.Errorf("%+v has the command %s %q, want %s %q", test.s, command.Name, command.Data, test.name, test.s.Topic)
		}
		if s, ok := command.Subscription(); !ok || !cmp.Equal(s, test.s) {
			t.Errorf("command %+v is parsed as %+v, %t; want %+v", command, s, ok, test.s)
		}
	}
}

func TestNotASubscription(t *testing.T) {
	for _, m := range []Message{nil, {}, {{}}, {{2}}, {[]byte("topic")}, {{1}, {}}, {{0}, {1}}} {
		if s, ok := ParseSubscription(m); ok {
			t.Errorf("message %q is parsed as %+v", m, s)
		}
	}
	for _, name := range []string{cmdPing, cmdReady, "subscribe"} {
		if s, ok := (Command{Name: name}).Subscription(); ok {
			t.Errorf("command %s is parsed as %+v", name, s)
		}
	}
}

// TestSubscriptionForms checks both forms on the wire, by the version of the peer.
func TestSubscriptionForms(t *testing.T) {
	for _, test := range []struct {
		minor             byte
		subscribe, cancel string
	}{
		{0, "\x00\x03\x01ab", "\x00\x03\x00ab"},
		{1, command("SUBSCRIBE", "ab"), command("CANCEL", "ab")},
		{2, command("SUBSCRIBE", "ab"), command("CANCEL", "ab")},
	} {
		t.Run(fmt.Sprintf("sent to 3.%d", test.minor), func(t *testing.T) {
			c, p := newRawPeer(t, test.minor, PUB, Options{SocketType: SUB})
			defer c.Close()
			ab := []byte("ab")
			go func() {
				if err := errors.Join(c.Subscribe(ab), c.Unsubscribe(ab), c.WriteSubscriptions(Subscription{Topic: ab}, Subscription{ab, true})); err != nil {
					t.Error(err)
				}
			}()
			p.expect(test.subscribe)
			p.expect(test.cancel)
			p.expect(test.subscribe)
			p.expect(test.cancel)
		})
		t.Run(fmt.Sprintf("received from 3.%d", test.minor), func(t *testing.T) {
			c, p := newRawPeer(t, test.minor, SUB, Options{SocketType: XPUB})
			defer c.Close()
			go p.send(test.subscribe + test.cancel)
			for _, want := range []string{"\x01ab", "\x00ab"} {
				if f, err := c.ReadFrame(); err != nil || f.More || f.Command || string(f.Body) != want {
					t.Errorf("%+v, %v; want the message %q", f, err, want)
				}
			}
		})
	}
}

func TestSubscribeInsideMessage(t *testing.T) {
	c, p := newRawPeer(t, 1, SUB, Options{SocketType: XPUB})
	defer c.Close()
	go p.send(frame(true, 1) + command("SUBSCRIBE", "a"))
	if _, err := c.ReadMessage(); !errors.Is(err, ErrProtocol) {
		t.Errorf("got %v, want a protocol error", err)
	}
}
