package backend

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestReqEnvelope checks that a request keeps the envelope of the client (REQ_CORRELATE), and that
// only a reply with the same envelope counts.
func TestReqEnvelope(t *testing.T) {
	n := newNative(t, zmtp.REP)
	in := newInbox()
	s := dial(t, options(zmtp.REQ, n), in)
	c := n.accept()
	send(t, s, message("\x00\x00\x00\x01", "hop", "", "question", ""))
	want(t, read(t, c), "\x00\x00\x00\x01|hop||question|")
	c.Write(message("", "bare"), message("\x00\x00\x00\x02", "hop", "", "other"), message("\x00\x00\x00\x01", "", "short"),
		message("\x00\x00\x00\x01", "hop", ""), message("\x00\x00\x00\x01", "hop", "", "answer", ""))
	want(t, in.next(t), "\x00\x00\x00\x01|hop||answer|")
	if got := s.Stats().Unasked; got != 4 {
		t.Errorf("%d replies dropped, want 4", got)
	}
	in.empty(t)
}

// TestReqReplaced has a client that does not wait for the reply (REQ_RELAXED) to one peer, which
// answers everything, late and out of order.
func TestReqReplaced(t *testing.T) {
	n := newNative(t, zmtp.ROUTER)
	in := newInbox()
	s := dial(t, options(zmtp.REQ, n), in)
	c := n.accept()
	ask := func(frames ...string) zmtp.Message {
		send(t, s, message(frames...))
		m, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	answer := func(request zmtp.Message, text string) {
		if err := c.Write(append(request[:len(request)-1:len(request)-1], []byte(text))); err != nil {
			t.Fatal(err)
		}
	}
	first := ask("", "1")
	want(t, text(first), "|1")
	second := ask("", "2")
	if len(second) != 3 || len(second[0]) != envelopeSize || text(second[1:]) != "|2" {
		t.Fatalf("the second request is %q, want a frame that tells its reply from that of the first", second)
	}
	third := ask("", "3")
	answer(second, "late")
	answer(third, "three")
	want(t, in.next(t), "|three")
	fourth := ask("", "4")
	answer(first, "very late")
	answer(third, "again")
	answer(fourth, "four")
	want(t, in.next(t), "|four")
	want(t, text(ask("", "5")), "|5") // nothing is late any more
	// The client tells its requests apart itself.
	want(t, text(ask("id 6", "", "6")), "id 6||6")
	seventh := ask("id 7", "", "7")
	want(t, text(seventh), "id 7||7")
	c.Write(message("", "five"), message("id 6", "", "six"))
	answer(seventh, "seven")
	want(t, in.next(t), "id 7||seven")
	if got := s.Stats(); got.Replaced != 4 || got.Unasked != 5 {
		t.Errorf("%+v, want 4 requests replaced and 5 replies dropped", got)
	}
	in.empty(t)
}

// TestReqReplacedUnsent checks that a request that no backend has yet is withdrawn.
func TestReqReplacedUnsent(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprint("shared ", shared), func(t *testing.T) {
			p := newPipes(t, zmtp.REP, "one")
			p.setFail("one", zmtp.ErrUnreachable)
			o := p.options(zmtp.REQ)
			o.Ready, o.HighWaterMark = None, 2
			in := newInbox()
			var s Socket
			if shared {
				all, err := DialShared(o)
				if err != nil {
					t.Fatal(err)
				}
				defer all.Close()
				if s, err = all.Attach(in, AttachOptions{}); err != nil {
					t.Fatal(err)
				}
			} else {
				s = dial(t, o, in)
			}
			for i := range 10 {
				send(t, s, message("", fmt.Sprint(i)))
			}
			p.setFail("one", nil)
			c := <-p.served["one"]
			m, err := c.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			want(t, text(m[len(m)-2:]), "|9")
			c.Write(append(m[:len(m)-1:len(m)-1], []byte("nine")))
			want(t, in.next(t), "|nine")
		})
	}
}

// TestBindReqReplaced checks that a shared socket tells the replies of one peer apart.
func TestBindReqReplaced(t *testing.T) {
	s := listen(t, zmtp.REQ)
	c := connectPeer(t, s, zmtp.Options{SocketType: zmtp.ROUTER})
	one, in := attach(t, s)
	for i, id := range []string{"", "id"} {
		envelope := message(id, "")
		if id == "" {
			envelope = message("")
		}
		send(t, one, append(clone(envelope), []byte("1")))
		first, _ := c.ReadMessage()
		send(t, one, append(clone(envelope), []byte("2")))
		second, _ := c.ReadMessage()
		want(t, text(second[1:]), text(append(clone(envelope), []byte("2"))))
		c.Write(first, second, second)
		want(t, in.next(t), text(second[1:]))
		// Before the next request, which the last reply might answer.
		eventually(t, "the others are dropped", func() bool {
			got, n := s.Stats(), uint64(i+1)
			return got.Replaced == n && got.Unroutable == n && got.Unasked == n
		})
	}
	in.empty(t)
}

// TestReqReplacedAfterLoss checks that a request that a lost peer has not taken, and that was
// replaced meanwhile, is not given to another peer.
func TestReqReplacedAfterLoss(t *testing.T) {
	o := Options{SocketType: zmtp.REQ}
	if err := o.setDefaults(); err != nil {
		t.Fatal(err)
	}
	c := newCore(o, true)
	r := c.pattern.(*req)
	st, err := c.attach(newInbox(), AttachOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p, other := &peer{core: c, writing: true}, &peer{core: c, writing: true}
	c.peers = []*peer{p}
	r.send(st, []zmtp.Message{message("", "1")})
	p.take() // is being written
	c.peers = []*peer{other}
	r.send(st, []zmtp.Message{message("", "2")})
	p.queue = append(p.queue, p.batch...) // was not, after all
	r.left(p)
	if len(other.queue) != 1 || text(other.queue[0].m[1:]) != "|2" || st.question.p != other {
		t.Errorf("the other peer gets %v, want request 2 alone", other.queue)
	}
}

// TestRepEnvelope checks that an answer gets the envelope of its request.
func TestRepEnvelope(t *testing.T) {
	n := newNative(t, zmtp.DEALER)
	in := newInbox()
	s := dial(t, options(zmtp.REP, n), in)
	c := n.accept()
	c.Write(message("id 1", "", "a"), message(string(make([]byte, maxEnvelope+1)), "", "too long"), message("id 2", "hop", "", "b"), message("", "c"))
	want(t, in.next(t), "id 1||a")
	want(t, in.next(t), "id 2|hop||b")
	want(t, in.next(t), "||c"[1:])
	send(t, s, message("id 1", "", "A", ""), message("", "B"), message("forged", "", "C"))
	want(t, read(t, c), "id 1||A|")
	want(t, read(t, c), "id 2|hop||B")
	want(t, read(t, c), "|C")
}

// TestProbe sends the empty message of PROBE_ROUTER in both directions. It goes where a message may
// go and ends nothing.
func TestProbe(t *testing.T) {
	for _, tc := range []struct {
		ours, peer zmtp.SocketType
		request    zmtp.Message
		toPeer     string // the probe, then the request
		toClient   []string
	}{
		{zmtp.DEALER, zmtp.ROUTER, message("", "x"), "|", []string{"", "|y"}},
		{zmtp.REQ, zmtp.ROUTER, message("", "x"), "", []string{"|y"}},
		{zmtp.ROUTER, zmtp.DEALER, message("peer", "", "x"), "", []string{"peer|", "peer||y"}},
	} {
		t.Run(string(tc.ours), func(t *testing.T) {
			n := listenNative(t, zmtp.Options{SocketType: tc.peer, RoutingID: []byte("peer")}, "")
			in := newInbox()
			s := dial(t, options(tc.ours, n), in)
			c := n.accept()
			c.Write(message(""))
			send(t, s, message(""), tc.request)
			if tc.ours == zmtp.DEALER {
				want(t, read(t, c), "")
			}
			want(t, read(t, c), "|x")
			c.Write(message("", "y"))
			for _, m := range tc.toClient {
				want(t, in.next(t), m)
			}
		})
	}
	t.Run("REP", func(t *testing.T) {
		n := newNative(t, zmtp.DEALER)
		in := newInbox()
		s := dial(t, options(zmtp.REP, n), in)
		c := n.accept()
		c.Write(message(""), message("", "x"))
		want(t, in.next(t), "|x")
		send(t, s, message(""), message("", "y"))
		want(t, read(t, c), "|y")
	})
}

// TestBindProbe checks that a probe of an inbound peer answers no request, and that an empty
// message after its first one does.
func TestBindProbe(t *testing.T) {
	for _, ours := range []zmtp.SocketType{zmtp.DEALER, zmtp.REQ} {
		s := listen(t, ours)
		c := connectPeer(t, s, zmtp.Options{SocketType: zmtp.ROUTER})
		one, in := attach(t, s)
		c.Write(message(""))
		send(t, one, message("", "x"))
		m, _ := c.ReadMessage()
		c.Write(m)
		want(t, in.next(t), "|x")
		in.empty(t)
	}
	s := listen(t, zmtp.ROUTER)
	one, in := attach(t, s)
	c, err := zmtp.Dial(t.Context(), s.Endpoints()[0], zmtp.Null{}, zmtp.Options{SocketType: zmtp.DEALER, RoutingID: []byte("peer")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	two, inTwo := attach(t, s)
	eventually(t, "the peer has joined", func() bool { return len(s.Status()) == 1 })
	send(t, one, message(""), message("peer", "x"))
	want(t, read(t, c), "x")
	c.Write(message("")) // the probe comes late
	want(t, in.next(t), "peer|")
	want(t, inTwo.next(t), "peer|")
	c.Write(message("")) // the answer
	want(t, in.next(t), "peer|")
	send(t, two, message("peer", "y"))
	want(t, read(t, c), "y")
	inTwo.empty(t)
}
