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

// audience is a client of any dialect. What it hears is a topic, "-" and the topic of a
// dropped subscription, or "renewed".
type audience struct {
	subscribe func(topics ...string)
	renew     func(token string)
	hear      func() string
}

// audiences connect in each dialect that tells of dropped subscriptions, to a route that
// takes tokens.
var audiences = map[string]func(t *testing.T, url, route, token string) audience{
	"ZWS2.0/BEARER": func(t *testing.T, url, route, token string) audience {
		var heard []string
		o := byToken(token, zmtp.SUB)
		o.Notice = func(n zws.Notice) { heard = append(heard, noticed(n)...) }
		c := connect(t, url+route, o)
		return audience{
			subscribe: func(topics ...string) { must(t, c.Subscribe(octets(topics)...)) },
			renew:     func(token string) { must(t, c.Renew(token)) },
			hear: func() (next string) {
				for len(heard) == 0 {
					m, err := c.Recv()
					must(t, err)
					heard = append(heard, string(m[0]))
				}
				next, heard = heard[0], heard[1:]
				return next
			},
		}
	},
	"ZWSJSON1.0": func(t *testing.T, url, route, token string) audience {
		p := openPage(t, url+route)
		say := func(op, key, value string) {
			text, err := json.Marshal(map[string]string{"op": op, key: value})
			must(t, err)
			p.say(string(text))
		}
		say("login", "token", token)
		if got := p.hear(); got["op"] != "ready" {
			t.Fatalf("got %v", got)
		}
		return audience{
			subscribe: func(topics ...string) {
				for _, topic := range topics {
					say("subscribe", "topic", topic)
				}
			},
			renew: func(token string) { say("login", "token", token) },
			hear: func() string {
				switch object := p.hear(); object["op"] {
				case "message":
					return object["frames"].([]any)[0].(string)
				case "unsubscribed":
					return "-" + object["topic"].(string)
				case "ready":
					return "renewed"
				default:
					t.Fatalf("heard %v", object)
					return ""
				}
			},
		}
	},
	"ZWSMUX1.0": func(t *testing.T, url, route, token string) audience {
		notices := make(chan string, 100)
		o := byToken(token, "")
		o.Notice = func(n zws.Notice) {
			for _, heard := range noticed(n) {
				notices <- heard
			}
		}
		m, err := zws.DialMux(t.Context(), url+route, o)
		must(t, err)
		t.Cleanup(func() { m.Close() })
		// A window of one octet lets the server send one message at a time: what was sent
		// before a notice is read before it is heard.
		c := openMux(t, m, zws.ChannelOptions{Route: route, Window: 1})
		return audience{
			subscribe: func(topics ...string) { must(t, c.Subscribe(t.Context(), octets(topics)...)) },
			renew:     func(token string) { must(t, m.Renew(token)) },
			hear: func() string {
				message, err := c.Recv()
				must(t, err)
				select {
				case heard := <-notices:
					return heard // the message came before or after it: it is no proof of anything
				default:
					return string(message[0])
				}
			},
		}
	},
}

func noticed(n zws.Notice) []string {
	switch {
	case n.Unsubscribed != nil:
		return []string{"-" + string(n.Unsubscribed)}
	case n.Renewed:
		return []string{"renewed"}
	}
	return nil
}

func octets(topics []string) (list [][]byte) {
	for _, topic := range topics {
		list = append(list, []byte(topic))
	}
	return list
}

// hearAll listens until every one of want was heard. What is wanted once is wanted in any
// order; anything that is not in allowed fails the test.
func (a audience) hearAll(t *testing.T, allowed []string, want ...string) {
	t.Helper()
	for missing := slices.Clone(want); len(missing) > 0; {
		heard := a.hear()
		i := slices.Index(missing, heard)
		if i >= 0 {
			missing = slices.Delete(missing, i, i+1)
		} else if !slices.Contains(allowed, heard) {
			t.Fatalf("heard %s, allowed are %q and %q is missing", heard, allowed, missing)
		}
	}
}

// TestUnsubscribed: a renewed token drops subscriptions. Each is told, nothing of it comes
// afterwards, and the others stay as they are.
func TestUnsubscribed(t *testing.T) {
	handler := native27(t, func(req *zap.Request) *zap.Reply { // the token is what may be subscribed to
		return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{
			{Name: "Subscribe", Value: string(req.Credentials[0])}, {Name: "House", Value: "localhost"},
		}}
	})
	topics := []string{"a/1", "a/deep/1", "b/1", "b/deep/1", "c/1", "d/1"}
	port := station(t, topics...)
	const tokens = `client_mechanisms = ["BEARER"]`
	shared, own, allowed := "tcp://127.0.0.1:"+port, "tcp://{meta.house}:"+port, fmt.Sprintf("endpoints_allowed = [%q]", "tcp://localhost:"+port)
	url, _ := start(t, zapOnly(handler)+
		routeTo("/shared", "SUB", shared, tokens)+
		routeTo("/own", "SUB", own, tokens, allowed)+
		routeTo("/blocking", "SUB", own, tokens, allowed, `on_full = "block"`, "high_water_mark = 3")+
		routeTo("/narrow", "SUB", shared, tokens, `on_wide = "narrow"`))
	for dialect, connect := range audiences {
		for _, path := range []string{"/shared", "/own", "/blocking"} {
			t.Run(dialect+path, func(t *testing.T) {
				a := connect(t, url, path, "a/ b/ c/ d/")
				a.subscribe("a/", "a/deep/", "b/", "c/")
				heard := []string{"a/1", "a/deep/1", "b/1", "b/deep/1", "c/1"}
				a.hearAll(t, heard, heard...)
				a.renew("a/deep/ b/deep/ c/") // a/ and b/ are wider than that
				a.hearAll(t, heard, "renewed", "-a/", "-b/")
				for range 300 {
					a.hearAll(t, []string{"a/deep/1"}, "c/1")
					a.hearAll(t, []string{"c/1"}, "a/deep/1")
				}
			})
		}
		t.Run(dialect+"/narrow", func(t *testing.T) {
			a := connect(t, url, "/narrow", "a/ d/")
			a.subscribe("a/", "d/")
			heard := []string{"a/1", "a/deep/1", "d/1"}
			a.hearAll(t, heard, heard...)
			a.renew("a/deep/")
			a.hearAll(t, heard, "renewed", "-d/")
			for range 300 {
				a.hearAll(t, nil, "a/deep/1")
			}
		})
	}
}

// TestUnsubscribedByReload: changed rules drop subscriptions too.
func TestUnsubscribedByReload(t *testing.T) {
	port := station(t, "a/1", "b/1")
	text := func(topics string) string {
		return usersOnly + routeTo("/d", "SUB", "tcp://127.0.0.1:"+port, fmt.Sprintf(`allow = [ { user = "*", subscribe = [%s] } ]`, topics))
	}
	var dir string
	url, b := startIn(t, func(d string) string { dir = d; return text(`"a/", "b/"`) })
	var told []string
	o := byPassword("alice", zmtp.SUB)
	o.Notice = func(n zws.Notice) { told = append(told, noticed(n)...) }
	alice := connect(t, url+"/d", o)
	silent := connect(t, url+"/d", byPassword("bob", zmtp.SUB)) // asks for no notices
	for _, c := range []*zws.Client{alice, silent} {
		must(t, c.Subscribe([]byte("a/"), []byte("b/")))
		for heard := map[string]bool{}; len(heard) < 2; {
			m, err := c.Recv()
			must(t, err)
			heard[string(m[0])] = true
		}
	}
	reload(t, b, dir, text(`"b/"`))
	for after := 0; after < 300; {
		m, err := alice.Recv()
		must(t, err)
		if len(told) == 0 {
			continue
		}
		if after++; string(m[0]) != "b/1" {
			t.Fatalf("%s after the notice", m[0])
		}
	}
	if diff := cmp.Diff([]string{"-a/"}, told); diff != "" {
		t.Error(diff)
	}
	for n := 0; n < 300; { // of b/ alone, at some time
		m, err := silent.Recv()
		must(t, err)
		if n++; string(m[0]) != "b/1" {
			n = 0
		}
	}
}

// TestRenewedDuringReload: where a reload and a renewal work out rights at the same time,
// those of the newer token stay.
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
	handler := native27(t, func(req *zap.Request) *zap.Reply {
		if string(req.Credentials[0]) == "b/" {
			renewing <- struct{}{}
		}
		return &zap.Reply{Status: zap.OK, UserID: "alice", Metadata: zap.Metadata{{Name: "Subscribe", Value: string(req.Credentials[0])}}}
	})
	var dir, text string
	url, b := startIn(t, func(d string) string {
		dir = d
		text = strings.Replace(zapOnly(handler), `authn = "handler"`, `authn = "handler", authz = ["app"]`, 1) +
			strings.Replace(service.config(), `cache = "1h"`, `cache = "0s"`, 1) +
			routeTo("/d", "SUB", "tcp://127.0.0.1:"+station(t, "a/1", "b/1"), `client_mechanisms = ["BEARER"]`)
		return text
	})
	a := audiences["ZWS2.0/BEARER"](t, url, "/d", "a/ b/")
	a.subscribe("a/", "b/")
	a.hearAll(t, []string{"a/1", "b/1"}, "a/1", "b/1")

	c := read(t, dir, text)
	hold.Store(true)
	reloaded := make(chan error, 1)
	go func() { reloaded <- b.Reload(c) }()
	<-asked
	a.renew("b/")
	<-renewing
	close(release)
	must(t, <-reloaded)
	a.hearAll(t, []string{"a/1", "b/1"}, "renewed", "-a/")
	for range 300 {
		a.hearAll(t, nil, "b/1")
	}
}
