package bridge_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// This file is about what libzmq's options make a REQ, DEALER or ROUTER send: REQ_CORRELATE,
// REQ_RELAXED, PROBE_ROUTER.

// heldBack is a backend that answers only when it is told to.
type heldBack struct {
	endpoint string
	requests chan zmtp.Message
	answers  chan zmtp.Message
}

func holdBack(t *testing.T, as zmtp.SocketType) *heldBack {
	t.Helper()
	b := &heldBack{requests: make(chan zmtp.Message, 100), answers: make(chan zmtp.Message, 100)}
	b.endpoint = listen(t, as, zap.NULL, always(zap.OK), func(c *zmtp.Conn) {
		gone := make(chan struct{})
		defer close(gone)
		go func() {
			for {
				select {
				case m := <-b.answers:
					_ = c.Write(m)
				case <-gone:
					return
				}
			}
		}()
		for {
			m, err := c.ReadMessage()
			if err != nil {
				return
			}
			b.requests <- m
		}
	})
	return b
}

// requester is a client in any dialect.
type requester interface {
	Send(m ...string)
	Recv() []string
}

type zwsRequester struct {
	t *testing.T
	zws.Socket
}

func (r zwsRequester) Send(m ...string) {
	r.t.Helper()
	must(r.t, r.Socket.Send(r.t.Context(), message(m...)))
}

func (r zwsRequester) Recv() []string {
	r.t.Helper()
	m, err := r.Socket.Recv(r.t.Context())
	must(r.t, err)
	return texts(m)
}

type jsonRequester struct{ *jsonClient }

func (r jsonRequester) Send(m ...string) {
	r.t.Helper()
	frames, err := json.Marshal(m)
	must(r.t, err)
	r.send(fmt.Sprintf(`{"op":"send","frames":%s}`, frames))
}

func (r jsonRequester) Recv() []string {
	var list []string
	for _, f := range r.next()["frames"].([]any) {
		list = append(list, f.(string))
	}
	return list
}

// dialRequester logs alice in.
func dialRequester(t *testing.T, url, path, dialect string, as zmtp.SocketType) requester {
	t.Helper()
	switch dialect {
	case "ZWSJSON1.0":
		c := jsonRequester{dialJSON(t, url+path)}
		c.send(loginObject("alice"))
		c.next() // ready
		return c
	case "ZWSMUX1.0":
		return zwsRequester{t, openMux(t, dialMux(t, url+path, "alice"), zws.ChannelOptions{Route: path, SocketType: as})}
	}
	return zwsRequester{t, connect(t, url+path, plainLogin("alice", as))}
}

// wantFrames compares the last frames of a message: a backend may get an envelope in front.
func wantFrames(t *testing.T, got []string, want ...string) {
	t.Helper()
	got = got[max(0, len(got)-len(want)):]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("frames (-want +got):\n%s", diff)
	}
}

// TestRequestOptions sends what a REQ with REQ_CORRELATE, REQ_RELAXED and PROBE_ROUTER sends, in
// every dialect, with rights that do not allow an empty topic.
func TestRequestOptions(t *testing.T) {
	for _, tc := range []struct {
		socket zmtp.SocketType
		lines  string
	}{
		{zmtp.REQ, ""},
		{zmtp.REQ, `share = "requests"`},
		{zmtp.DEALER, ""},
	} {
		for _, dialect := range []string{"ZWS2.0", "ZWSJSON1.0", "ZWSMUX1.0"} {
			t.Run(fmt.Sprint(tc.socket, tc.lines, dialect), func(t *testing.T) {
				backend := holdBack(t, zmtp.ROUTER)
				rules := `allow = [ { user = "alice", send = ["ask/"] } ]`
				if tc.socket == zmtp.DEALER {
					rules = `allow = [ { user = "alice", send = ["ID"] } ]` // there the topic is the first frame
				}
				url, _ := start(t, usersOnly+routeTo("/q", tc.socket, backend.endpoint, tc.lines, rules))
				c := dialRequester(t, url, "/q", dialect, zmtp.REQ)
				c.Send("")
				c.Send("ID 1", "", "ask/1")
				first := <-backend.requests
				c.Send("ID 2", "", "ask/2")
				second := <-backend.requests
				wantFrames(t, texts(first), "ID 1", "", "ask/1")
				wantFrames(t, texts(second), "ID 2", "", "ask/2")
				backend.answers <- second
				wantFrames(t, c.Recv(), "ID 2", "", "ask/2")
				c.Send("ID 3", "", "ask/3")
				third := <-backend.requests
				if tc.socket == zmtp.REQ {
					backend.answers <- first // late
				}
				backend.answers <- third
				wantFrames(t, c.Recv(), "ID 3", "", "ask/3")
			})
		}
	}
}

// TestLazyPirate has a client that sends its request again, without ids, to a backend that answers
// late.
func TestLazyPirate(t *testing.T) {
	for _, lines := range []string{"", `share = "requests"`} {
		backend := holdBack(t, zmtp.REP)
		url, _ := start(t, usersOnly+routeTo("/q", zmtp.REQ, backend.endpoint, lines))
		c := dialRequester(t, url, "/q", "ZWS2.0", zmtp.REQ)
		for try := range 5 {
			question := fmt.Sprint("try ", try)
			c.Send("", question)
			lost := <-backend.requests
			c.Send("", question+" again")
			again := <-backend.requests
			backend.answers <- lost
			backend.answers <- again
			wantFrames(t, c.Recv(), "", question+" again")
		}
	}
}

// TestProbes checks that the empty message of PROBE_ROUTER ends no session, where no rule allows an
// empty topic, and is passed on where one may pass.
func TestProbes(t *testing.T) {
	for _, tc := range []struct {
		socket, client, backend zmtp.SocketType
		allow                   string
		request                 []string
		passed                  bool
	}{
		{zmtp.REQ, zmtp.REQ, zmtp.REP, `"ask"`, []string{"", "ask"}, false},
		{zmtp.DEALER, zmtp.DEALER, zmtp.ROUTER, `"ask"`, []string{"ask"}, false},
		{zmtp.DEALER, zmtp.DEALER, zmtp.ROUTER, `""`, []string{"ask"}, true},
		{zmtp.ROUTER, zmtp.DEALER, zmtp.ROUTER, `"peer"`, []string{"peer", "ask"}, false},
		{zmtp.ROUTER, zmtp.ROUTER, zmtp.DEALER, `"peer"`, []string{"peer", "ask"}, false},
	} {
		t.Run(fmt.Sprint(tc), func(t *testing.T) {
			l, err := zmtp.Listen("tcp://127.0.0.1:0", zap.NULL, nativeSecurity(always(zap.OK)),
				zmtp.ListenOptions{Options: zmtp.Options{SocketType: tc.backend, RoutingID: []byte("peer")}})
			must(t, err)
			defer l.Close()
			url, _ := start(t, usersOnly+routeTo("/q", tc.socket, l.Endpoint(), `allow = [ { user = "*", send = [`+tc.allow+`] } ]`))
			c := dialRequester(t, url, "/q", "ZWS2.0", tc.client)
			backend, err := l.Accept()
			must(t, err)
			defer backend.Close()
			c.Send("")
			c.Send(tc.request...)
			if tc.passed {
				m, err := backend.ReadMessage()
				must(t, err)
				wantFrames(t, texts(m), "")
			}
			m, err := backend.ReadMessage()
			must(t, err)
			wantFrames(t, texts(m), "ask")
		})
	}
}
