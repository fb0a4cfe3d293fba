package backend

import (
	"errors"
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// isProtocol checks that err is want and the client's fault.
func isProtocol(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || !errors.Is(err, zmtp.ErrProtocol) {
		t.Errorf("error %v, want %v", err, want)
	}
}

func TestReq(t *testing.T) {
	n := newNative(t, zmtp.REP)
	in := newInbox()
	s := dial(t, options(zmtp.REQ, n), in)
	c := n.accept()
	isProtocol(t, s.Send(t.Context(), message("no delimiter")), ErrEnvelope)
	isProtocol(t, s.Send(t.Context(), message("nothing after it", "")), ErrEnvelope)
	for i := range 3 {
		request := fmt.Sprint("request ", i)
		send(t, s, message("", request))
		want(t, read(t, c), "|"+request)
		c.Write(message("no delimiter"), message("", "reply"), message("", "and one more"))
		want(t, in.next(t), "|reply")
		// Before the next request, which "and one more" would answer.
		eventually(t, "unasked replies are dropped", func() bool { return s.Stats().Unasked == uint64(2*(i+1)) })
	}
	in.empty(t)
}

// TestReqAsksInTurn checks that requests go round-robin, and that only the peer that has the
// request can answer.
func TestReqAsksInTurn(t *testing.T) {
	one, two := newNative(t, zmtp.ROUTER), newNative(t, zmtp.REP)
	in := newInbox()
	s := dial(t, options(zmtp.REQ, one, two), in)
	conns := []*zmtp.Conn{one.accept(), two.accept()}
	requests := make(chan int)
	for i, c := range conns {
		go func() {
			for {
				if _, err := c.ReadMessage(); err != nil {
					return
				}
				requests <- i
			}
		}()
	}
	last := -1
	for i := range 6 {
		send(t, s, message("", "?"))
		current := <-requests
		if current == last {
			t.Errorf("request %d: backend %d twice in a row", i, current+1)
		}
		last = current
		conns[1-current].Write(message("", "from the other"))
		eventually(t, "the other is ignored", func() bool { return s.Stats().Unasked == uint64(i+1) })
		conns[current].Write(message("", fmt.Sprint("answer ", i)))
		want(t, in.next(t), fmt.Sprint("|answer ", i))
	}
}

// TestReqAfterLoss checks that after the loss of the backend that had the request another request
// can be sent, and goes to another backend.
func TestReqAfterLoss(t *testing.T) {
	p := newPipes(t, zmtp.REP, "one", "two")
	in := newInbox()
	s := dial(t, p.options(zmtp.REQ), in)
	conns := []*zmtp.Conn{<-p.served["one"], <-p.served["two"]}
	p.setFail("one", zmtp.ErrUnreachable)
	p.setFail("two", zmtp.ErrUnreachable)
	type request struct {
		from int
		text string
	}
	requests := make(chan request)
	for i, c := range conns {
		go func() {
			for m, err := c.ReadMessage(); err == nil; m, err = c.ReadMessage() {
				requests <- request{i, text(m)}
			}
		}()
	}
	send(t, s, message("", "first"))
	first := receiveWithin(t, requests)
	want(t, first.text, "|first")
	conns[first.from].Close()
	eventually(t, "the loss is noticed", func() bool { return s.Status()[first.from].State != Connected })
	send(t, s, message("", "second"))
	second := receiveWithin(t, requests)
	if second.from == first.from || second.text != "|second" {
		t.Errorf("%+v after %+v", second, first)
	}
	conns[second.from].Write(message("", "reply"))
	want(t, in.next(t), "|reply")
}

// TestRepAnswersInOrder has requests of two backends, a REQ and a DEALER with its own envelope.
// Answers must go back in the order of the requests.
func TestRepAnswersInOrder(t *testing.T) {
	one, two := newNative(t, zmtp.REQ), newNative(t, zmtp.DEALER)
	in := newInbox()
	s := dial(t, options(zmtp.REP, one, two), in)
	a, b := one.accept(), two.accept()
	isProtocol(t, s.Send(t.Context(), message("", "nobody asked")), ErrLockStep)
	a.Write(message("", "a1"))
	want(t, in.next(t), "|a1")
	b.Write(message("id", "", "b1"), message("no delimiter"), message("nothing after it", ""), message("", "b2"))
	want(t, in.next(t), "id||b1")
	want(t, in.next(t), "|b2")
	isProtocol(t, s.Send(t.Context(), message("no delimiter")), ErrEnvelope)
	send(t, s, message("", "A1"), message("id", "", "B1"), message("", "B2"))
	want(t, read(t, a), "|A1")
	want(t, read(t, b), "id||B1")
	want(t, read(t, b), "|B2")
	isProtocol(t, s.Send(t.Context(), message("", "nobody asked")), ErrLockStep)
	if n := s.Stats().Unasked; n != 2 {
		t.Errorf("%d malformed requests counted, want 2", n)
	}
}

// TestRepAskerGone checks that the answer to a backend that has gone is dropped, and that the
// next answer does not go to the wrong one.
func TestRepAskerGone(t *testing.T) {
	one, two := newNative(t, zmtp.REQ), newNative(t, zmtp.REQ)
	in := newInbox()
	s := dial(t, options(zmtp.REP, one, two), in)
	a, b := one.accept(), two.accept()
	a.Write(message("", "a"))
	want(t, in.next(t), "|a")
	b.Write(message("", "b"))
	want(t, in.next(t), "|b")
	one.listener.Close()
	a.Close()
	eventually(t, "the loss is noticed", func() bool { return s.Status()[0].State == Waiting })
	send(t, s, message("", "A"), message("", "B"))
	want(t, read(t, b), "|B")
	if n := s.Stats().Unroutable; n != 1 {
		t.Errorf("%d answers dropped, want 1", n)
	}
}

// TestRepUnanswered checks that at most the high-water mark of requests is unanswered.
func TestRepUnanswered(t *testing.T) {
	n := newNative(t, zmtp.DEALER)
	in := newInbox()
	o := options(zmtp.REP, n)
	o.HighWaterMark = 3
	s := dial(t, o, in)
	c := n.accept()
	for i := range 10 {
		c.Write(message("", fmt.Sprint(i)))
	}
	for i := range 10 {
		want(t, in.next(t), fmt.Sprint("|", i))
		s.d.core.mu.Lock()
		if unanswered := len(s.d.core.pattern.(*rep).askers); unanswered > 3 {
			t.Errorf("%d unanswered, want at most 3", unanswered)
		}
		s.d.core.mu.Unlock()
		send(t, s, message("", fmt.Sprint(i)))
		want(t, read(t, c), fmt.Sprint("|", i))
	}
}

func TestPair(t *testing.T) {
	n := newNative(t, zmtp.PAIR)
	in := newInbox()
	s := dial(t, options(zmtp.PAIR, n), in)
	c := n.accept()
	send(t, s, message("a", ""), message("b"))
	want(t, read(t, c), "a|")
	want(t, read(t, c), "b")
	c.Write(message("", "c"))
	want(t, in.next(t), "|c")
	isProtocol(t, s.Send(t.Context(), message()), ErrEnvelope)
}

func TestOneWay(t *testing.T) {
	t.Run("PULL does not send", func(t *testing.T) {
		s := dial(t, options(zmtp.PULL, newNative(t, zmtp.PUSH)), newInbox())
		isProtocol(t, s.Send(t.Context(), message("x")), ErrCannotSend)
	})
	t.Run("SUB does not send", func(t *testing.T) {
		s := dial(t, options(zmtp.SUB, newNative(t, zmtp.PUB)), newInbox())
		for _, m := range []zmtp.Message{message("x"), message("\x01a"), message("\x01a", "b"), message(""), message()} {
			isProtocol(t, s.Send(t.Context(), m), ErrCannotSend)
		}
	})
	t.Run("only SUB and XSUB subscribe", func(t *testing.T) {
		s := dial(t, options(zmtp.PULL, newNative(t, zmtp.PUSH)), newInbox())
		isProtocol(t, s.Subscribe(t.Context(), []byte("x")), ErrCannotSubscribe)
		isProtocol(t, s.Unsubscribe(t.Context(), []byte("x")), ErrCannotSubscribe)
	})
	t.Run("PUSH does not receive", func(t *testing.T) {
		n := newNative(t, zmtp.PULL)
		in := newInbox()
		s := dial(t, options(zmtp.PUSH, n), in)
		n.accept().Write(message("x"))
		eventually(t, "it is dropped", func() bool { return s.Stats().Unasked == 1 })
		in.empty(t)
	})
}

// TestRouter checks that the first frame is the backend's routing id in both directions.
func TestRouter(t *testing.T) {
	named := listenNative(t, zmtp.Options{SocketType: zmtp.DEALER, RoutingID: []byte("house 1")}, "")
	same := listenNative(t, zmtp.Options{SocketType: zmtp.ROUTER, RoutingID: []byte("house 1")}, "")
	nul := listenNative(t, zmtp.Options{SocketType: zmtp.DEALER, RoutingID: []byte("\x00abcd")}, "")
	nameless := newNative(t, zmtp.DEALER)
	in := newInbox()
	o := options(zmtp.ROUTER, named)
	s := dial(t, o, in)
	a := named.accept()
	a.Write(message("hello", ""))
	want(t, in.next(t), "house 1|hello|")
	send(t, s, message("house 1", "", "x"), message("house 2", "y"), message("house 1", "z"))
	want(t, read(t, a), "|x")
	want(t, read(t, a), "z")
	if n := s.Stats().Unroutable; n != 1 {
		t.Errorf("%d dropped, want 1", n)
	}
	isProtocol(t, s.Send(t.Context(), message("house 1")), ErrEnvelope)
	isProtocol(t, s.Send(t.Context(), message()), ErrEnvelope)

	t.Run("generated", func(t *testing.T) {
		in := newInbox()
		s := dial(t, options(zmtp.ROUTER, nameless, nul), in)
		for _, n := range []*native{nameless, nul} {
			c := n.accept()
			c.Write(message("hello"))
			m := receiveWithin(t, in.arrived)
			if id := m[0]; len(m) != 2 || len(id) != 5 || id[0] != 0 || string(id) == "\x00abcd" {
				t.Fatalf("message %q, want 00 and four bytes in front", m)
			}
			send(t, s, zmtp.Message{m[0], []byte("answer")})
			want(t, read(t, c), "answer")
		}
	})
	t.Run("in use", func(t *testing.T) {
		in := newInbox()
		dial(t, options(zmtp.ROUTER, named, same), in)
		named.accept().Write(message("1"))
		same.accept().Write(message("2"))
		first, second := receiveWithin(t, in.arrived), receiveWithin(t, in.arrived)
		if string(first[0]) == string(second[0]) {
			t.Errorf("both have the routing id %q", first[0])
		}
	})
}

// TestRouterDoesNotWait checks that messages to a peer at its high-water mark are dropped.
func TestRouterDoesNotWait(t *testing.T) {
	p := newPipes(t, zmtp.DEALER, "one")
	o := p.options(zmtp.ROUTER)
	o.HighWaterMark, o.Linger = 5, -1
	in := newInbox()
	s := dial(t, o, in)
	c := <-p.served["one"]
	c.Write(message("hello"))
	id := receiveWithin(t, in.arrived)[0]
	for range 20 {
		send(t, s, zmtp.Message{id, make([]byte, 1000)})
	}
	if n := s.Stats().Overflow; n != 15 {
		t.Errorf("%d dropped of 20, want 15", n)
	}
}
