package bridge_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// observed is what a client was given, in order.
type observed struct {
	mu   sync.Mutex
	list []string
}

// add notes a text, unless it is the last one: messages are published until all have got them.
func (o *observed) add(text string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.list); n == 0 || o.list[n-1] != text {
		o.list = append(o.list, text)
	}
}

func (o *observed) notify(n zws.Notification) {
	if n.Resumed != nil {
		o.add(fmt.Sprintf("resumed %v %v", n.Resumed.Recovered, n.Resumed.Gap))
	}
}

// all returns what there is, in order, or sorted and each message once: a MuxChannel can hold messages from
// before a notification.
func (o *observed) all(sorted bool) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := slices.Clone(o.list)
	if sorted {
		slices.Sort(list)
		list = slices.CompactFunc(list, func(a, b string) bool { return a == b && !strings.HasPrefix(a, "resumed") })
	}
	return strings.Join(list, ", ")
}

// receive notes the messages of a client until its connection ends.
func (o *observed) receive(t *testing.T, c zws.Socket) {
	for {
		m, err := c.Recv(t.Context())
		if err != nil {
			return
		}
		o.add(string(m[1]))
	}
}

// TestGapWhileConnected loses the connection to the backend. Clients that keep positions and are
// subscribed by then are told, in each dialect and of each channel; others are not.
func TestGapWhileConnected(t *testing.T) {
	p := startPress(t)
	url := startKept(t, p, "")
	subscribe := func(history bool) *observed {
		o, login := new(observed), plainLogin("alice", zmtp.SUB)
		login.History, login.Notify = history, o.notify
		c := connect(t, url, login)
		must(t, c.Subscribe(t.Context(), []byte("weather")))
		go o.receive(t, c)
		return o
	}
	plain, bare := subscribe(true), subscribe(false)
	login := plainLogin("alice", "")
	byChannel := map[*zws.MuxChannel]*observed{}
	login.Notify = func(n zws.Notification) { byChannel[n.Channel].notify(n) }
	m, err := zws.DialMux(t.Context(), url, login)
	must(t, err)
	defer m.Close()
	open := func() *observed {
		c := openMux(t, m, zws.ChannelOptions{Route: "/kept", SocketType: zmtp.SUB, History: true})
		byChannel[c] = new(observed) // before its first notification: it has no subscriptions
		return byChannel[c]
	}
	open()
	weather, house, none := open(), open(), open()
	for c, o := range byChannel {
		switch o {
		case weather:
			must(t, c.Subscribe(t.Context(), []byte("weather")))
		case house:
			must(t, c.Subscribe(t.Context(), []byte("house/alice/")))
		}
		go o.receive(t, c)
	}
	page := loginKept(t, url, `,"history":true`)
	page.send(`{"op":"subscribe","topic":"weather"}`)
	page.expect("live", "")

	publish := func(number int, to ...*observed) {
		eventually(t, "that all are subscribed", func() bool {
			p.publish("weather", number, number)
			p.publish("house/alice/t", number, number)
			return !slices.ContainsFunc(to, func(o *observed) bool { return !strings.Contains(o.all(false), fmt.Sprint(number)) })
		})
	}
	publish(1, plain, bare, weather, house)
	p.lose()
	resumed := page.next()
	for resumed["op"] == "message" {
		resumed = page.next()
	}
	if resumed["recovered"] != true || resumed["gap"] != true {
		t.Errorf("%v, want recovered with a gap", resumed)
	}
	if live := page.expect("live", ""); live["at"] != resumed["at"] {
		t.Errorf("%v follows %v, want the same position", live, resumed)
	}
	late := subscribe(true)
	publish(2, plain, bare, weather, house, late)
	page.expect("message", "2")
	for _, tc := range []struct {
		name, want string
		*observed
		sorted bool
	}{
		{"ZWS2.0+PLAIN", "1, resumed true true, 2", plain, false},
		{"without a history", "1, 2", bare, false},
		{"ZWSMUX1.0, one channel", "1, 2, resumed true true", weather, true},
		{"ZWSMUX1.0, another channel", "1, 2, resumed true true", house, true},
		{"ZWSMUX1.0, no subscription", "", none, true},
		{"subscribed afterwards", "2", late, false},
	} {
		if got := tc.all(tc.sorted); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.name, got, tc.want)
		}
	}
	// Where the client was told, it has everything.
	again := loginKept(t, url, `,"history":true`)
	again.send(fmt.Sprintf(`{"op":"resume","topics":["weather"],"at":%q}`, resumed["at"]))
	if m := again.expect("resumed", ""); m["recovered"] != true || m["gap"] != false {
		t.Errorf("resumed behind the gap: %v", m)
	}
	again.expect("message", "2")
}
