//go:build interop

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// away is a page in a browser with the JavaScript client, at a route that keeps what it publishes.
type away struct {
	t         *testing.T
	client    *process
	publisher *socket
	wire      *cable // between the pages and the bridge
	direct    string // URL of the route, without it
	url, page string
	login     credentials
	number    int // of the last message that was published
	padding   string
}

func startAway(t *testing.T, browser string) *away {
	h := newHome(t)
	h.pages()
	a := &away{t: t, client: platform(t, browser), publisher: start(t, "libzmq.mjs").bind(t, "XPUB", nil)}
	direct := h.bridge(strings.Replace(allMechanisms, "[server]", "[server]\nstatic = \"www\"", 1) +
		routeAt("/kept", "SUB", a.publisher.endpoint, anyMechanism, `on_full = "replay"`, "high_water_mark = 10") +
		"[route.history]\ntopics = [\"house/\"]\n")
	a.direct = direct + "kept"
	a.wire = newCable(t, strings.Trim(strings.TrimPrefix(direct, "ws:"), "/"))
	a.url, a.page = "ws://"+a.wire.address+"/kept", "http://"+a.wire.address+"/"
	a.publisher.expect("\x01house/")
	a.login = withPassword("alice", secrets["alice"])
	return a
}

// open opens a page, or a socket of one that is open.
func (a *away) open(query string, more credentials) *socket {
	a.t.Helper()
	o := command{Type: "SUB", Connect: a.url, Subscribe: []string{"house/"}, Options: a.login.with(a.page + query)}
	o.Options["history"] = true
	for k, v := range more {
		o.Options[k] = v
	}
	s := a.client.open(a.t, o)
	s.ignored = []string{"disconnect", "recovered"}
	s.wait("ready")
	return s
}

// publish publishes that many messages, fewer than the high-water mark of libzmq.
func (a *away) publish(n int) {
	for range n {
		a.number++
		a.publisher.send("house/t", fmt.Sprint(a.number), a.padding)
	}
}

// expect waits for the messages after from, up to the last that was published.
func (a *away) expect(s *socket, from int) {
	a.t.Helper()
	for n := from + 1; n <= a.number; n++ {
		if got := s.wait("message").Frames[1]; got != fmt.Sprint(n) {
			a.t.Fatalf("got %s, want %d", got, n)
		}
	}
}

// untilKept waits until the bridge has all that was published.
func (a *away) untilKept() {
	a.t.Helper()
	c, err := alice(a.t, a.direct, zmtp.SUB, func(o *zws.DialOptions) { o.History = true })
	if err != nil {
		a.t.Fatal(err)
	}
	defer c.Close()
	if err := c.Resume(a.t.Context(), "", []byte("house/")); err != nil {
		a.t.Fatal(err)
	}
	for n := 1; n <= a.number; n++ {
		m, err := c.Recv(a.t.Context())
		if err != nil {
			a.t.Fatal(err)
		}
		if string(m[1]) != fmt.Sprint(n) {
			a.t.Fatalf("kept is %s, want %d", m[1], n)
		}
	}
}

// begin waits until a socket receives.
func (a *away) begin(s *socket) {
	a.t.Helper()
	a.publish(1)
	if got := s.wait("message").Frames[1]; got != fmt.Sprint(a.number) { // live, or as the last value
		a.t.Fatalf("got %s, want %d", got, a.number)
	}
}

// TestPageAway takes a page away for some time: it gets all that came meanwhile, in order.
func TestPageAway(t *testing.T) {
	last := credentials{"last": true}
	for _, browser := range []string{"chromium", "firefox"} {
		t.Run("offline in "+browser, func(t *testing.T) {
			a := startAway(t, browser)
			s := a.open("", last)
			a.begin(s)
			// What is open stays open in a browser that is offline, so the cable is cut too.
			s.do("offline")
			s.wait("offline")
			a.wire.set(true)
			s.wait("disconnect")
			a.wire.set(false)
			before := a.number
			a.publish(100)
			a.untilKept()
			s.do("online")
			if e := s.wait("resumed"); !e.Recovered || e.Gap {
				t.Errorf("event %+v, want recovered without a gap", e)
			}
			a.expect(s, before)
			a.publish(1)
			a.expect(s, a.number-1)
		})
	}
	for name, cut := range map[string]bool{"frozen in chromium": false, "frozen in chromium and cut off": true} {
		t.Run(name, func(t *testing.T) {
			a := startAway(t, "chromium")
			s := a.open("", last)
			a.begin(s)
			s.do("freeze")
			s.wait("frozen")
			a.wire.set(cut)
			before := a.number
			a.padding = strings.Repeat("padding ", 1000) // more in all than what sockets and the browser buffer
			a.publish(800)
			a.untilKept()
			a.wire.set(false)
			s.do("thaw")
			if cut {
				if e := s.wait("resumed"); !e.Recovered || e.Gap {
					t.Errorf("event %+v, want recovered without a gap", e)
				}
			}
			a.expect(s, before)
			a.publish(1)
			a.expect(s, a.number-1)
		})
	}
}

// TestTwoTabs opens two pages with the same queue of a user: the newer one takes it over, with what
// the older one has not acknowledged, and the older one stays away.
func TestTwoTabs(t *testing.T) {
	for _, browser := range []string{"chromium", "firefox"} {
		t.Run(browser, func(t *testing.T) {
			a := startAway(t, browser)
			queue := credentials{"queue": "tabs", "last": true}
			first := a.open("?1", queue)
			if e := first.wait("resumed"); e.Recovered { // a new queue
				t.Errorf("event %+v, want nothing recovered", e)
			}
			a.begin(first)
			second := a.open("?2", queue)
			const reason = "another connection of this user took over this queue"
			if e := first.wait("refused"); e.Code != 4409 || e.Reason != reason {
				t.Errorf("event %+v, want 4409", e)
			}
			if e := first.wait("ended"); e.Code != 4409 || e.Reason != reason || e.Error != "RefusedError" {
				t.Errorf("the reader gets %+v, want a RefusedError with 4409", e)
			}
			if e := second.wait("resumed"); !e.Recovered || e.Gap {
				t.Errorf("event %+v, want recovered without a gap", e)
			}
			a.publish(20)
			for e := second.wait("message"); e.Frames[1] != fmt.Sprint(a.number); e = second.wait("message") {
			}
			select {
			case e := <-first.events:
				t.Errorf("the older page still gets %+v", e)
			default:
			}
			select {
			case e := <-second.events:
				t.Errorf("the newer page gets %+v", e)
			default:
			}
		})
	}
}
