package bridge_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestHiddenSubscription checks that no frame of a client's message can change what the shared
// connection to an XPUB is subscribed to: libzmq reads every frame that begins with 00 or 01
// as a subscription.
func TestHiddenSubscription(t *testing.T) {
	xpub := startPeer(t, zmtp.XPUB)
	rules := `allow = [ { user = "alice", subscribe = ["house/alice/"], send = ["house/alice/", "\u0001", ""] } ]`
	url, _ := start(t, usersOnly+routeTo("/x", "XSUB", xpub.endpoint, rules)+routeTo("/y", "XSUB", xpub.endpoint))
	for _, path := range []string{"/x", "/y"} {
		for _, m := range []zmtp.Message{
			message("house/alice/x", "\x00weather/"),
			message("house/alice/x", "\x01"),
			message("house/alice/x", "", "\x01weather/"),
			message("\x01weather/", "house/alice/x"),
			message("\x00", ""),
		} {
			t.Run(fmt.Sprintf("%s %q", path, texts(m)), func(t *testing.T) {
				c := connect(t, url+path, plainLogin("alice", zmtp.XSUB))
				must(t, c.Send(t.Context(), m))
				got := sessionEnd(t, c)
				if got.Code != 4403 || !strings.Contains(got.Reason, "begins with 00 or 01") {
					t.Errorf("%v, want 4403 with the number of the frame", got)
				}
			})
		}
	}
	c := connect(t, url+"/x", plainLogin("alice", zmtp.XSUB))
	must(t, c.Send(t.Context(), message("house/alice/x", "", "\x02", "value")))
	for {
		m := <-xpub.messages
		if _, subscription := zmtp.ParseSubscription(m); subscription {
			continue
		}
		if fmt.Sprintf("%q", texts(m)) != `["house/alice/x" "" "\x02" "value"]` {
			t.Errorf("the backend received %q", texts(m))
		}
		break
	}
}

// TestHiddenSubscriptionInChannel checks the same on a channel of ZWSMUX1.0, whose connection
// goes on.
func TestHiddenSubscriptionInChannel(t *testing.T) {
	xpub := startPeer(t, zmtp.XPUB)
	url, _ := start(t, usersOnly+routeTo("/x", "XSUB", xpub.endpoint))
	m := dialMux(t, url+"/x", "alice")
	c := openMux(t, m, zws.ChannelOptions{Route: "/x", SocketType: zmtp.XSUB})
	must(t, c.Send(t.Context(), message("topic", "\x01")))
	if _, err := c.Recv(t.Context()); zws.Cause(err).Code != 4403 {
		t.Errorf("%v, want 4403", err)
	}
	openMux(t, m, zws.ChannelOptions{Route: "/x", SocketType: zmtp.XSUB})
}
