package bridge_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

const (
	ownHouse    = `allow = [{ user = "*", subscribe = ["house/{user}/"] }]`
	ownReadings = `bind_allow = [
  { user = "stove", publish = ["house/"], subscribe = ["to/"] },
  { user = "*", publish = ["from/{user}/"], subscribe = ["to/{user}/"] },
]`
)

// TestJobsForClients: a job goes to a client that may have it, and waits while there is none.
func TestJobsForClients(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url, b := controllersAt(t, "PULL", endpoint, ownHouse)
	stove := controller(t, endpoint, "stove", zmtp.PUSH)
	alice := person(t, url, "alice", zmtp.PULL)
	person(t, url, "mallory", zmtp.PULL)
	for i := range 30 {
		must(t, stove.Write(message("house/alice/", fmt.Sprint(i))))
	}
	for i := range 30 {
		hears(t, alice, "house/alice/", fmt.Sprint(i))
	}
	must(t, stove.Write(message("house/bob/", "1"), message("house/alice/", "last"), message("house/bob/", "2")))
	hears(t, alice, "house/alice/", "last")
	waitForMetric(t, b, `zwsbridge_waiting_messages{route="/c"} 2`)
	bob := person(t, url, "bob", zmtp.PULL)
	hears(t, bob, "house/bob/", "1")
	hears(t, bob, "house/bob/", "2")
	waitForMetric(t, b, `zwsbridge_waiting_messages{route="/c"} 0`)
}

// TestJobsForNobody: jobs wait up to the high-water mark; then only the controller waits that
// has sent them.
func TestJobsForNobody(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url, b := controllersAt(t, "PULL", endpoint, ownHouse, "high_water_mark = 7")
	stove := controller(t, endpoint, "stove", zmtp.PUSH)
	alice := person(t, url, "alice", zmtp.PULL)
	for i := range 20 {
		must(t, stove.Write(message("house/nobody/", fmt.Sprint(i))))
	}
	waitForMetric(t, b, `zwsbridge_waiting_messages{route="/c"} 7`)
	alice.Close()
}

// TestControllerTopics: a controller publishes only what bind_allow lets it.
func TestControllerTopics(t *testing.T) {
	for _, socket := range []zmtp.SocketType{zmtp.SUB, zmtp.XSUB, zmtp.PULL, zmtp.XPUB} {
		t.Run(string(socket), func(t *testing.T) {
			endpoint := unusedEndpoint(t)
			url, b := controllersAt(t, socket, endpoint, ownReadings)
			as := map[zmtp.SocketType][2]zmtp.SocketType{
				zmtp.SUB: {zmtp.SUB, zmtp.PUB}, zmtp.XSUB: {zmtp.XSUB, zmtp.XPUB},
				zmtp.PULL: {zmtp.PULL, zmtp.PUSH}, zmtp.XPUB: {zmtp.XPUB, zmtp.XSUB},
			}[socket]
			stove, evil := controller(t, endpoint, "stove", as[1]), controller(t, endpoint, "evil", as[1])
			alice := person(t, url, "alice", as[0])
			if socket.Subscribes() {
				must(t, alice.Subscribe(t.Context(), nil))
				for _, c := range []*zmtp.Conn{stove, evil} {
					gets(t, c, "\x01")
				}
			}
			must(t, evil.Write(message("house/alice/door", "open"), message("from/evil2/x"), message("from/evil/", "mine")))
			hears(t, alice, "from/evil/", "mine")
			must(t, stove.Write(message("house/alice/door", "shut")))
			hears(t, alice, "house/alice/door", "shut")
			waitForMetric(t, b, `zwsbridge_dropped_total{reason="not-allowed",route="/c"} 2`)
		})
	}
}

// TestControllerHidesSubscription: no frame of a controller's message reaches the clients of an
// XPUB route that a libzmq XPUB would take for a subscription or its end.
func TestControllerHidesSubscription(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url, b := controllersAt(t, "XPUB", endpoint)
	stove, evil := controller(t, endpoint, "stove", zmtp.XSUB), controller(t, endpoint, "evil", zmtp.XSUB)
	alice := person(t, url, "alice", zmtp.XPUB)
	must(t, stove.Subscribe([]byte("weather/")))
	hears(t, alice, "\x01weather/")
	must(t, evil.Write(message("a", "\x00weather/"), message("a", "", "\x01"), message("\x00weather/", "a"), message("a", "\x02", "")))
	hears(t, alice, "a", "\x02", "")
	must(t, alice.Send(t.Context(), message("weather/", "sun")))
	gets(t, stove, "weather/", "sun")
	waitForMetric(t, b, `zwsbridge_dropped_total{reason="not-allowed",route="/c"} 3`)
}

// TestControllerSubscriptions: a controller subscribes only to what bind_allow lets it, as it
// is: nothing that is wider.
func TestControllerSubscriptions(t *testing.T) {
	for _, socket := range []zmtp.SocketType{zmtp.PUB, zmtp.XPUB} {
		endpoint := unusedEndpoint(t)
		url, b := controllersAt(t, socket, endpoint, ownReadings)
		lamp := controller(t, endpoint, "lamp", zmtp.SUB)
		alice := person(t, url, "alice", socket)
		must(t, lamp.Subscribe(nil, []byte("to/"), []byte("to/stove/"), []byte("to/lamp/on")))
		hears(t, alice, "\x01to/lamp/on")
		waitForMetric(t, b, `zwsbridge_dropped_total{reason="not-allowed",route="/c"} 3`)
		sendTo(t, alice, "to/stove/", "hot")
		sendTo(t, alice, "to/lamp/on", "please")
		gets(t, lamp, "to/lamp/on", "please")
	}
}

// TestRightsOfControllersChange: a reload changes what controllers may send that are
// connected already.
func TestRightsOfControllersChange(t *testing.T) {
	endpoint := unusedEndpoint(t)
	var dir string
	url, b := startIn(t, func(d string) string {
		dir = d
		return controllersConfig(t, d, "SUB", endpoint, ownReadings)
	})
	lamp := controller(t, endpoint, "lamp", zmtp.PUB)
	alice := person(t, url, "alice", zmtp.SUB)
	must(t, alice.Subscribe(t.Context(), nil))
	gets(t, lamp, "\x01")
	must(t, lamp.Write(message("any/1"), message("from/lamp/1")))
	hears(t, alice, "from/lamp/1")
	reload(t, b, dir, controllersConfig(t, dir, "SUB", endpoint, `bind_allow = [{ user = "lamp", publish = ["any/"] }]`))
	must(t, lamp.Write(message("from/lamp/2"), message("any/2")))
	hears(t, alice, "any/2")
}

// TestOnlyTheAskedAnswers: another controller that was asked by the same client cannot answer
// instead of the first.
func TestOnlyTheAskedAnswers(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url, b := controllersAt(t, "DEALER", endpoint)
	stove, evil := controller(t, endpoint, "stove", zmtp.ROUTER), controller(t, endpoint, "evil", zmtp.ROUTER)
	alice := person(t, url, "alice", zmtp.DEALER)
	waitForMetric(t, b, `zwsbridge_backends{route="/c",state="ready"} 2`)
	envelopes := make(map[*zmtp.Conn][]byte)
	sendTo(t, alice, "1")
	sendTo(t, alice, "2")
	for _, c := range []*zmtp.Conn{stove, evil} {
		m, err := c.ReadMessage()
		must(t, err)
		envelopes[c] = append([]byte(nil), m[0]...)
	}
	must(t, evil.Write(zmtp.Message{envelopes[stove], []byte("false")}))
	waitForMetric(t, b, `zwsbridge_dropped_total{reason="unroutable",route="/c"} 1`)
	must(t, stove.Write(zmtp.Message{envelopes[stove], []byte("true")}))
	hears(t, alice, "true")
}

// TestSlowPublisher: a client of an XPUB that reads nothing keeps no other waiting, neither by
// messages of controllers nor by their subscriptions.
func TestSlowPublisher(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url, _ := controllersAt(t, "XPUB", endpoint, "high_water_mark = 50", `high_water_bytes = "64KiB"`,
		`[server]`, `write_timeout = "1h"`) // so that alice gets nothing if she has to wait for mallory
	stove := controller(t, endpoint, "stove", zmtp.XSUB)
	person(t, url, "mallory", zmtp.XPUB) // reads nothing
	alice := person(t, url, "alice", zmtp.XPUB)
	payload := strings.Repeat("x", 50_000)
	for i := range 400 { // more than fits in buffers
		must(t, stove.Subscribe(fmt.Append(nil, i)))
		hears(t, alice, fmt.Sprintf("\x01%d", i))
		must(t, stove.Write(message(fmt.Sprint(i), payload)))
		hears(t, alice, fmt.Sprint(i), payload)
	}
}

// TestGreedySubscriber: a controller that subscribes to more than a tenth of
// max_subscription_bytes is disconnected, and others are not.
func TestGreedySubscriber(t *testing.T) {
	endpoint := unusedEndpoint(t)
	url, _ := controllersAt(t, "PUB", endpoint, `max_subscription_bytes = "100KiB"`)
	evil, stove := controller(t, endpoint, "evil", zmtp.SUB), controller(t, endpoint, "stove", zmtp.SUB)
	for i := range 100 {
		if evil.Subscribe(fmt.Appendf(nil, "%01000d", i)) != nil {
			break
		}
	}
	if m, err := evil.ReadMessage(); err == nil {
		t.Errorf("a controller with 100 kB of topics gets %q", m)
	}
	must(t, stove.Subscribe([]byte("a")))
	alice := person(t, url, "alice", zmtp.PUB)
	for { // those of evil are withdrawn
		m, err := alice.Recv(t.Context())
		must(t, err)
		if string(m[0]) == "\x01a" {
			return
		}
	}
}

// TestRequestsForClients: a request that the client of a REP may not have is answered by
// nobody, and its peer does not get the answer to another one.
func TestRequestsForClients(t *testing.T) {
	asked := make(chan *zmtp.Conn, 2)
	ctx, cancel := context.WithCancel(t.Context())
	endpoint := listen(t, zmtp.REQ, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
		asked <- c
		<-ctx.Done()
	})
	t.Cleanup(cancel)
	url, b := start(t, usersOnly+routeTo("/c", "REP", endpoint, `allow = [{ user = "*", subscribe = ["{user}/"], send = ["#"] }]`))
	alice := connect(t, url+"/c", plainLogin("alice", zmtp.REP))
	var one *zmtp.Conn
	select {
	case one = <-asked:
	case <-time.After(20 * time.Second):
		t.Fatal("no backend")
	}
	must(t, one.Write(message("", "bob/secret"), message("", "alice/question")))
	hears(t, alice, "", "alice/question")
	sendTo(t, alice, "", "answer")
	gets(t, one, "", "answer")
	waitForMetric(t, b, `zwsbridge_dropped_total{reason="not-allowed",route="/c"} 1`)
}
