package bridge_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// subscriber is a client of any dialect. next returns the topic of a message, "-" and the topic
// of a dropped subscription, or "renewed".
type subscriber struct {
	subscribe func(topics ...string)
	renew     func(token string)
	next      func() string
}

// dialSubscriber connects with a token, in each dialect that has notifications of dropped
// subscriptions.
var dialSubscriber = map[string]func(t *testing.T, url, route, token string) subscriber{
	"ZWS2.0/BEARER": func(t *testing.T, url, route, token string) subscriber {
		var events []string
		o := bearerLogin(token, zmtp.SUB)
		o.Notify = func(n zws.Notification) { events = append(events, noticeTexts(n)...) }
		c := connect(t, url+route, o)
		return subscriber{
			subscribe: func(topics ...string) { must(t, c.Subscribe(t.Context(), byteSlices(topics)...)) },
			renew:     func(token string) { must(t, c.Renew(t.Context(), token)) },
			next: func() (text string) {
				for len(events) == 0 {
					m, err := c.Recv(t.Context())
					must(t, err)
					events = append(events, string(m[0]))
				}
				text, events = events[0], events[1:]
				return text
			},
		}
	},
	"ZWSJSON1.0": func(t *testing.T, url, route, token string) subscriber {
		p := dialJSON(t, url+route)
		send := func(op, key, value string) {
			text, err := json.Marshal(map[string]string{"op": op, key: value})
			must(t, err)
			p.send(string(text))
		}
		send("login", "token", token)
		if got := p.next(); got["op"] != "ready" {
			t.Fatalf("got %v", got)
		}
		return subscriber{
			subscribe: func(topics ...string) {
				for _, topic := range topics {
					send("subscribe", "topic", topic)
				}
			},
			renew: func(token string) { send("login", "token", token) },
			next: func() string {
				switch object := p.next(); object["op"] {
				case "message":
					return object["frames"].([]any)[0].(string)
				case "unsubscribed":
					return "-" + object["topic"].(string)
				case "ready":
					return "renewed"
				default:
					t.Fatalf("got %v", object)
					return ""
				}
			},
		}
	},
	"ZWSMUX1.0": func(t *testing.T, url, route, token string) subscriber {
		notices := make(chan string, 100)
		o := bearerLogin(token, "")
		o.Notify = func(n zws.Notification) {
			for _, text := range noticeTexts(n) {
				notices <- text
			}
		}
		m, err := zws.DialMux(t.Context(), url+route, o)
		must(t, err)
		t.Cleanup(func() { m.Close() })
		// A window of one byte lets the server send one message at a time, so that the messages
		// sent before a notification are read before it.
		c := openMux(t, m, zws.ChannelOptions{Route: route, Window: 1})
		return subscriber{
			subscribe: func(topics ...string) { must(t, c.Subscribe(t.Context(), byteSlices(topics)...)) },
			renew:     func(token string) { must(t, m.Renew(t.Context(), token)) },
			next: func() string {
				message, err := c.Recv(t.Context())
				must(t, err)
				select {
				case text := <-notices:
					return text // the message can be from before or after it, and proves nothing
				default:
					return string(message[0])
				}
			},
		}
	},
}

// noticeTexts returns what subscriber.next returns for a notification; nil for those that the
// tests ignore.
func noticeTexts(n zws.Notification) []string {
	switch {
	case n.Unsubscribed != nil:
		return []string{"-" + string(n.Unsubscribed)}
	case n.Renewed:
		return []string{"renewed"}
	}
	return nil
}

// byteSlices returns topics as byte slices.
func byteSlices(topics []string) (list [][]byte) {
	for _, topic := range topics {
		list = append(list, []byte(topic))
	}
	return list
}

// expect reads until every one of want was received, in any order. Anything else that is not in
// allowed fails the test.
func (a subscriber) expect(t *testing.T, allowed []string, want ...string) {
	t.Helper()
	for missing := slices.Clone(want); len(missing) > 0; {
		got := a.next()
		i := slices.Index(missing, got)
		if i >= 0 {
			missing = slices.Delete(missing, i, i+1)
		} else if !slices.Contains(allowed, got) {
			t.Fatalf("got %s, want %q or the missing %q", got, allowed, missing)
		}
	}
}

// TestUnsubscribed checks that a renewal drops the subscriptions that the new token does not allow:
// the client is notified of each, gets no message of it afterwards, and keeps the others.
func TestUnsubscribed(t *testing.T) {
	handler := zapHandler(t, func(req *zap.Request) *zap.Reply { // the token lists the allowed subscriptions
		return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{
			{Name: "Subscribe", Value: string(req.Credentials[0])}, {Name: "House", Value: "localhost"},
		}}
	})
	topics := []string{"a/1", "a/deep/1", "b/1", "b/deep/1", "c/1", "d/1"}
	port := broadcast(t, topics...)
	const tokens = `client_mechanisms = ["BEARER"]`
	shared, own, allowed := "tcp://127.0.0.1:"+port, "tcp://{meta.house}:"+port, fmt.Sprintf("endpoints_allowed = [%q]", "tcp://localhost:"+port)
	url, _ := start(t, zapOnly(handler)+
		routeTo("/shared", "SUB", shared, tokens)+
		routeTo("/own", "SUB", own, tokens, allowed)+
		routeTo("/blocking", "SUB", own, tokens, allowed, `on_full = "block"`, "high_water_mark = 3")+
		routeTo("/narrow", "SUB", shared, tokens, `on_wide = "narrow"`))
	for dialect, connect := range dialSubscriber {
		for _, path := range []string{"/shared", "/own", "/blocking"} {
			t.Run(dialect+path, func(t *testing.T) {
				a := connect(t, url, path, "a/ b/ c/ d/")
				a.subscribe("a/", "a/deep/", "b/", "c/")
				messages := []string{"a/1", "a/deep/1", "b/1", "b/deep/1", "c/1"}
				a.expect(t, messages, messages...)
				a.renew("a/deep/ b/deep/ c/") // a/ and b/ are wider
				a.expect(t, messages, "renewed", "-a/", "-b/")
				for range 300 {
					a.expect(t, []string{"a/deep/1"}, "c/1")
					a.expect(t, []string{"c/1"}, "a/deep/1")
				}
			})
		}
		t.Run(dialect+"/narrow", func(t *testing.T) {
			a := connect(t, url, "/narrow", "a/ d/")
			a.subscribe("a/", "d/")
			messages := []string{"a/1", "a/deep/1", "d/1"}
			a.expect(t, messages, messages...)
			a.renew("a/deep/")
			a.expect(t, messages, "renewed", "-d/")
			for range 300 {
				a.expect(t, nil, "a/deep/1")
			}
		})
	}
}

// TestUnsubscribedByReload checks that changed rules drop subscriptions too.
func TestUnsubscribedByReload(t *testing.T) {
	port := broadcast(t, "a/1", "b/1")
	text := func(topics string) string {
		return usersOnly + routeTo("/d", "SUB", "tcp://127.0.0.1:"+port, fmt.Sprintf(`allow = [ { user = "*", subscribe = [%s] } ]`, topics))
	}
	var dir string
	url, b := startIn(t, func(d string) string { dir = d; return text(`"a/", "b/"`) })
	var notified []string
	o := plainLogin("alice", zmtp.SUB)
	o.Notify = func(n zws.Notification) { notified = append(notified, noticeTexts(n)...) }
	alice := connect(t, url+"/d", o)
	bob := connect(t, url+"/d", plainLogin("bob", zmtp.SUB)) // without notifications
	for _, c := range []*zws.Client{alice, bob} {
		must(t, c.Subscribe(t.Context(), []byte("a/"), []byte("b/")))
		for received := map[string]bool{}; len(received) < 2; {
			m, err := c.Recv(t.Context())
			must(t, err)
			received[string(m[0])] = true
		}
	}
	reload(t, b, dir, text(`"b/"`))
	for after := 0; after < 300; {
		m, err := alice.Recv(t.Context())
		must(t, err)
		if len(notified) == 0 {
			continue
		}
		if after++; string(m[0]) != "b/1" {
			t.Fatalf("got %s after the notification", m[0])
		}
	}
	if diff := cmp.Diff([]string{"-a/"}, notified); diff != "" {
		t.Error(diff)
	}
	for n := 0; n < 300; { // until only messages of b/ arrive
		m, err := bob.Recv(t.Context())
		must(t, err)
		if n++; string(m[0]) != "b/1" {
			n = 0
		}
	}
}

// TestRenewedDuringReload checks that the rights of the newer token stay if a reload and a renewal
// evaluate rights at the same time.
func TestRenewedDuringReload(t *testing.T) {
	renewing, asked, release := make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	var hold atomic.Bool
	service := newHTTPService(t, func(path string, _ func(string) string) bool {
		if path == "/resource" && hold.CompareAndSwap(true, false) {
			close(asked)
			<-release
		}
		return true
	})
	handler := zapHandler(t, func(req *zap.Request) *zap.Reply {
		if string(req.Credentials[0]) == "b/" {
			renewing <- struct{}{}
		}
		return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{{Name: "Subscribe", Value: string(req.Credentials[0])}}}
	})
	var dir, text string
	url, b := startIn(t, func(d string) string {
		dir = d
		text = strings.Replace(zapOnly(handler), `authn = "handler"`, `authn = "handler", authz = ["app"]`, 1) +
			strings.Replace(service.authTable(), `cache = "1h"`, `cache = "0s"`, 1) +
			routeTo("/d", "SUB", "tcp://127.0.0.1:"+broadcast(t, "a/1", "b/1"), `client_mechanisms = ["BEARER"]`)
		return text
	})
	a := dialSubscriber["ZWS2.0/BEARER"](t, url, "/d", "a/ b/")
	a.subscribe("a/", "b/")
	a.expect(t, []string{"a/1", "b/1"}, "a/1", "b/1")

	c := loadConfig(t, dir, text)
	hold.Store(true)
	reloaded := make(chan error, 1)
	go func() { reloaded <- b.Reload(c) }()
	<-asked
	a.renew("b/")
	<-renewing
	close(release)
	must(t, <-reloaded)
	a.expect(t, []string{"a/1", "b/1"}, "renewed", "-a/")
	for range 300 {
		a.expect(t, nil, "b/1")
	}
}
