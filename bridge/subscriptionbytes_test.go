package bridge_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// longTopics returns n topics of that size that begin with prefix.
func longTopics(prefix string, n, size int) []string {
	topics := make([]string, n)
	for i := range topics {
		topics[i] = fmt.Sprintf("%-*s", size, fmt.Sprintf("%s%d/", prefix, i))
	}
	return topics
}

// TestSubscriptionBomb: ten anonymous clients of one address that subscribe to 1,000 topics of
// 1 kB each have 1 MiB at the device, all together and at any time, and a user subscribes
// meanwhile.
func TestSubscriptionBomb(t *testing.T) {
	for _, name := range []string{"ZWS2.0+NULL", "ZWSJSON1.0", "ZWSMUX1.0, open"} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(t, zap.NULL)
			url, b := start(t, guestsAnd+routeTo("/devices", "SUB", d.endpoint, everyone))
			alice := connect(t, url+"/devices", plainLogin("alice", zmtp.SUB))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ends := make(chan string, 10)
			var clients sync.WaitGroup
			for i := range 10 {
				clients.Go(func() {
					code, reason := subscribings[name](ctx, url, "/devices", longTopics(fmt.Sprintf("%d/", i), 1000, 1000))
					ends <- fmt.Sprintln(code, reason)
				})
			}
			const want = "4429 over 1048576 bytes of subscriptions for anonymous users of one address (max_subscription_bytes_per_user); retry in 60s\n"
			for i := range 9 { // one can stay
				if got := <-ends; got != want {
					t.Fatalf("got %q, want %q", got, want)
				}
				topic := fmt.Sprintf("alice/%d", i)
				must(t, alice.Subscribe(t.Context(), []byte(topic)))
				receiveTopics(t, alice, topic)
			}
			cancel()
			clients.Wait()
			if most := d.most() - 9*len("alice/0"); most > 1<<20 {
				t.Errorf("the device held %d bytes", most)
			}
			waitForMetric(t, b, fmt.Sprintf(`zwsbridge_subscription_bytes{route="/devices"} %d`, 9*len("alice/0")))
		})
	}
}

// TestSubscriptionBytesByDialect checks that each way to subscribe is held to the bound, and that
// everything is given back afterwards.
func TestSubscriptionBytesByDialect(t *testing.T) {
	d := newDevice(t, zap.NULL)
	url, b := start(t, "[server]\nmax_subscription_bytes_per_user = 1000\n"+guestsAnd+routeTo("/x", "XSUB", d.endpoint, everyone)+
		routeTo("/kept", "SUB", d.endpoint, everyone, `[route.history]`, `topics = [""]`))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, subscribe := range subscribings {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/x", "/kept", "/x"} {
				code, reason := subscribe(ctx, url, path, longTopics(name, 11, 99))
				if code != 4429 || !strings.Contains(reason, "max_subscription_bytes_per_user") {
					t.Errorf("%s: %d %s, want 4429 with the name of the bound", path, code, reason)
				}
				waitForMetric(t, b, fmt.Sprintf(`zwsbridge_subscription_bytes{route=%q} 0`, path))
				d.holds(t, 0) // the next route has another connection, which can be ahead of this one
			}
		})
	}
	if most := d.most(); most != 990 {
		t.Errorf("the device held %d bytes, want 10 topics", most)
	}
}

// TestSubscriptionBytesGivenBack checks that the bound is for all connections and routes of a
// user together, and what is given back: what the client cancels, and what its rights no longer
// allow. Renewals, repeated subscriptions and those that another one covers count nothing.
func TestSubscriptionBytesGivenBack(t *testing.T) {
	d := newDevice(t, zap.NULL)
	text := func(limit int, allow string) string {
		return fmt.Sprintf("[server]\nmax_subscription_bytes_per_user = %d\n", limit) + usersOnly +
			routeTo("/a", "SUB", d.endpoint, `on_wide = "narrow"`, `allow = [{ user = "*", subscribe = `+allow+` }]`) +
			routeTo("/b", "XSUB", d.endpoint)
	}
	var dir string
	url, b := startIn(t, func(at string) string {
		dir = at
		return text(100, `["house/", "weather/"]`)
	})
	bytes := func(a, b int) map[string]int64 { return map[string]int64{"/a": int64(a), "/b": int64(b)} }
	expect := func(when string, want map[string]int64) {
		t.Helper()
		eventually(t, when, func() bool {
			got := bytes(0, 0)
			for _, s := range b.Sessions() {
				got[s.Route] += s.SubscriptionBytes
			}
			return got["/a"] == want["/a"] && got["/b"] == want["/b"]
		})
	}
	topic := func(prefix string, size int) []byte { return fmt.Appendf(nil, "%-*s", size, prefix) }
	ctx := t.Context()
	first, second := connect(t, url+"/a", plainLogin("alice", zmtp.SUB)), connect(t, url+"/b", plainLogin("alice", zmtp.XSUB))
	must(t, first.Subscribe(ctx, nil))
	expect("the two prefixes that the rights allow", bytes(14, 0))
	must(t, first.Subscribe(ctx, []byte("house/"), nil, topic("house/kitchen", 30)))
	expect("one topic more", bytes(44, 0))
	must(t, first.Unsubscribe(ctx, []byte("house/")))
	must(t, second.Send(ctx, message("\x01"+string(topic("x", 56)))))
	expect("all that alice can have", bytes(44, 56))
	bob := connect(t, url+"/b", plainLogin("bob", zmtp.SUB))
	must(t, bob.Subscribe(ctx, topic("x", 56), topic("y", 44)))
	expect("another user has as much", bytes(44, 156))
	must(t, bob.Unsubscribe(ctx, topic("y", 44)))
	must(t, first.Unsubscribe(ctx, topic("house/kitchen", 30)))
	must(t, first.Unsubscribe(ctx, topic("house/kitchen", 30)))
	expect("unsubscribed", bytes(14, 112))

	reload(t, b, dir, text(100, `["house/"]`))
	expect("the rights are narrower", bytes(6, 112))
	reload(t, b, dir, text(60, `["house/"]`))
	expect("a lowered bound keeps what there is", bytes(6, 112))
	must(t, second.Subscribe(ctx, topic("x", 56), nil))
	expect("what counts nothing", bytes(6, 112))
	third := connect(t, url+"/b", plainLogin("alice", zmtp.SUB))
	must(t, third.Subscribe(ctx, []byte("z")))
	if got := sessionEnd(t, third); got.Code != 4429 || got.RetryAfter != time.Minute ||
		got.Reason != "over 60 bytes of subscriptions for one user (max_subscription_bytes_per_user); retry in 60s" {
		t.Errorf("%v, retry after %v", got, got.RetryAfter)
	}
	reload(t, b, dir, text(60, `["house/", "weather/"]`))
	if got := sessionEnd(t, first); got.Code != 4429 { // its subscription to everything grows
		t.Errorf("wider rights beyond the bound: %v, want 4429", got)
	}
	first.Close() // the bridge waits for it
	expect("the session that has ended", bytes(0, 112))
	second.Close()
	bob.Close()
	expect("all have left", bytes(0, 0))
	waitForMetric(t, b, `zwsbridge_subscription_bytes{route="/a"} 0`)
	waitForMetric(t, b, `zwsbridge_subscription_bytes{route="/b"} 0`)
}

// TestRouteSubscriptionBytes checks the bound of a route: for all users, and a tenth for one of
// them.
func TestRouteSubscriptionBytes(t *testing.T) {
	d := newDevice(t, zap.NULL)
	text := func(limit string) string {
		return guestsAnd + routeTo("/r", "SUB", d.endpoint, everyone, "max_subscription_bytes = "+limit)
	}
	var dir string
	url, b := startIn(t, func(at string) string {
		dir = at
		return text("2000")
	})
	alice := connect(t, url+"/r", plainLogin("alice", zmtp.SUB))
	must(t, alice.Subscribe(t.Context(), fmt.Appendf(nil, "%200s", "a")))
	waitForMetric(t, b, `zwsbridge_subscription_bytes{route="/r"} 200`)
	again := connect(t, url+"/r", plainLogin("alice", zmtp.SUB))
	must(t, again.Subscribe(t.Context(), []byte("b")))
	const tenth = "over 200 bytes of subscriptions for one user (a tenth of max_subscription_bytes); retry in 60s"
	if got := sessionEnd(t, again); got.Code != 4429 || got.Reason != tenth {
		t.Errorf("more than a tenth: %v", got)
	}
	bob := connect(t, url+"/r", plainLogin("bob", zmtp.SUB))
	must(t, bob.Subscribe(t.Context(), fmt.Appendf(nil, "%100s", "a"))) // at the device there is one
	waitForMetric(t, b, `zwsbridge_subscription_bytes{route="/r"} 300`)
	reload(t, b, dir, text("1001"))
	reload(t, b, dir, text("299"))
	for user, more := range map[string]zws.DialOptions{"bob": plainLogin("bob", zmtp.SUB), "a guest": {SocketType: zmtp.SUB, Security: zmtp.Null{}}} {
		c := connect(t, url+"/r", more)
		must(t, c.Subscribe(t.Context(), []byte("b")))
		if got := sessionEnd(t, c); got.Code != 4429 {
			t.Errorf("%s, above the bound of the route: %v", user, got)
		} else if whole := strings.HasPrefix(got.Reason, "over 299 bytes of subscriptions on this route (max_subscription_bytes)"); whole != (user != "bob") {
			t.Errorf("%s is told %q", user, got.Reason)
		}
	}
	must(t, alice.Subscribe(t.Context(), fmt.Appendf(nil, "%200s", "a")))
	waitForMetric(t, b, `zwsbridge_subscription_bytes{route="/r"} 300`)
}

// TestSubscriptionBytesUnasked checks that a service is not asked about a topic that would be too
// much.
func TestSubscriptionBytesUnasked(t *testing.T) {
	service := newHTTPService(t, func(string, func(string) string) bool { return true })
	d := newDevice(t, zap.NULL)
	url, b := start(t, "[server]\nmax_subscription_bytes_per_user = 100\n[zap]\ntimeout = \"1m\"\nchain = [ { authn = \"app\" } ]\n"+
		service.authTable()+routeTo("/r", "SUB", d.endpoint))
	c := connect(t, url+"/r", serviceLogin("eve", zmtp.SUB))
	must(t, c.Subscribe(t.Context(), []byte("a"), fmt.Appendf(nil, "%100s", "b"), []byte("c")))
	if got := sessionEnd(t, c); got.Code != 4429 {
		t.Errorf("%v, want 4429", got)
	}
	if n := service.topics.Load(); n != 1 {
		t.Errorf("the service was asked about %d topics, want 1", n)
	}
	c.Close() // the bridge waits for it
	// A session that ends while the service is asked gives everything back.
	hold := make(chan struct{})
	service.holdTopics.Store(&hold)
	c = connect(t, url+"/r", serviceLogin("eve", zmtp.SUB))
	must(t, c.Subscribe(t.Context(), []byte("held")))
	waitForMetric(t, b, `zwsbridge_subscription_bytes{route="/r"} 4`)
	c.Close()
	close(hold)
	waitForMetric(t, b, `zwsbridge_subscription_bytes{route="/r"} 0`)
}

// TestRelaySubscriptionBytes checks that what a relay can read of the subscriptions is bounded:
// not with CURVE.
func TestRelaySubscriptionBytes(t *testing.T) {
	for _, inner := range []zmtp.ClientSecurity{zmtp.Null{}, zmtp.Plain{User: "lamp", Password: "switch"}, curveLogin(nativeKey.Public)} {
		d := newDevice(t, inner.Name())
		url, b := start(t, "[server]\nmax_subscription_bytes_per_user = 100\nmax_subscriptions = 3\n"+usersOnly+relayRoute("SUB", d.endpoint))
		for _, way := range relayDialers {
			t.Run(string(inner.Name())+" "+way.name, func(t *testing.T) {
				dial := func() relayClient {
					c, err := way.dial(t, url, inner, zmtp.SUB)
					must(t, err)
					t.Cleanup(func() { c.Close() })
					return c
				}
				c, ctx := dial(), t.Context()
				long := fmt.Appendf(nil, "%100s", "a")
				for range 3 {
					must(t, c.Subscribe(ctx, long))
					must(t, c.Subscribe(ctx, long))
					d.holds(t, 100)
					must(t, c.Unsubscribe(ctx, long))
					d.holds(t, 0)
				}
				must(t, c.Subscribe(ctx, []byte("a")))
				d.holds(t, 1)
				must(t, c.Subscribe(ctx, long))
				if inner.Name() == zap.CURVE {
					d.holds(t, 101)
				} else if got := relayEnd(t, c); got.Code != 4429 {
					t.Errorf("%v, want 4429", got)
				}
				c.Close()
				d.holds(t, 0)
				waitForMetric(t, b, `zwsbridge_subscription_bytes{route="/relay"} 0`)
				if inner.Name() == zap.CURVE {
					return
				}
				c = dial()
				for i := range 4 {
					must(t, c.Subscribe(ctx, fmt.Append(nil, i)))
				}
				if got := relayEnd(t, c); got.Code != 4403 {
					t.Errorf("a fourth subscription: %v, want 4403", got)
				}
				waitForMetric(t, b, `zwsbridge_subscription_bytes{route="/relay"} 0`)
			})
		}
	}
}

func relayEnd(t *testing.T, c relayClient) *zws.CloseError {
	t.Helper()
	for {
		if _, err := c.Recv(t.Context()); err != nil {
			c.Close() // the bridge waits for it
			code, reason := refusedWith(err)
			return &zws.CloseError{Code: code, Reason: reason}
		}
	}
}

// TestOwnConnectionSubscriptionBytes checks the bound where each client has its own connection to
// the device.
func TestOwnConnectionSubscriptionBytes(t *testing.T) {
	d := newDevice(t, zap.PLAIN)
	url, b := start(t, "[server]\nmax_subscription_bytes_per_user = 100\n"+usersOnly+routeTo("/own", "SUB", d.endpoint, `credentials = "client"`))
	first, second := connect(t, url+"/own", plainLogin("alice", zmtp.SUB)), connect(t, url+"/own", plainLogin("alice", zmtp.SUB))
	must(t, first.Subscribe(t.Context(), fmt.Appendf(nil, "%60s", "a")))
	d.holds(t, 60)
	must(t, second.Subscribe(t.Context(), fmt.Appendf(nil, "%40s", "b"), []byte("c")))
	if got := sessionEnd(t, second); got.Code != 4429 {
		t.Errorf("%v, want 4429", got)
	}
	second.Close() // the bridge waits for it
	d.holds(t, 60)
	waitForMetric(t, b, `zwsbridge_subscription_bytes{route="/own"} 60`)
	if most := d.most(); most > 100 {
		t.Errorf("the device held %d bytes", most)
	}
}

// TestLoopOfSubscriptions checks that a client which subscribes to one topic after another and
// unsubscribes leaves no more than a tenth of the bound of the route at the device, and that
// nothing of it is counted.
func TestLoopOfSubscriptions(t *testing.T) {
	d := newDevice(t, zap.NULL)
	url, b := start(t, usersOnly+routeTo("/r", "SUB", d.endpoint, `max_subscription_bytes = "20kB"`))
	c := connect(t, url+"/r", plainLogin("alice", zmtp.SUB))
	for i := range 300 {
		topic := fmt.Appendf(nil, "%1000d", i)
		must(t, c.Subscribe(t.Context(), topic))
		must(t, c.Unsubscribe(t.Context(), topic))
	}
	must(t, c.Subscribe(t.Context(), []byte("the end")))
	receiveTopics(t, c, "the end")
	waitForMetric(t, b, `zwsbridge_subscription_bytes{route="/r"} 7`)
	if most := d.most(); most < 1000 || most > 2000+1000+7 {
		t.Errorf("the device held %d bytes", most)
	}
}

// TestLastValuesAtTheBound checks that a client which has all that it may have can still ask for
// the last values of what it is subscribed to.
func TestLastValuesAtTheBound(t *testing.T) {
	d := newDevice(t, zap.NULL)
	url, b := start(t, "[server]\nmax_subscription_bytes_per_user = 6\n"+usersOnly+
		routeTo("/kept", "SUB", d.endpoint, `[route.history]`, `topics = [""]`))
	c := dialJSON(t, url+"/kept")
	c.send(`{"op":"login","user":"alice","password":"alice's secret","history":true}`)
	if got := c.next(); got["op"] != "ready" {
		t.Fatalf("got %v", got)
	}
	c.send(`{"op":"subscribe","topic":"house/"}`)
	c.expect("message", "") // of the device
	c.send(`{"op":"subscribe","topic":"house/","last":true}`)
	c.expect("message", "")
	waitForMetric(t, b, `zwsbridge_subscription_bytes{route="/kept"} 6`)
}
