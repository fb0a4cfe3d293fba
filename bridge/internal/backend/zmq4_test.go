package backend

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/go-zeromq/zmq4"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// listenZmq4 returns a go-zeromq/zmq4 socket that listens. Users write their backends with it.
func listenZmq4(t testing.TB, make func(context.Context, ...zmq4.Option) zmq4.Socket) (zmq4.Socket, Endpoint) {
	t.Helper()
	s := make(context.Background(), zmq4.WithID(zmq4.SocketIdentity(t.Name())))
	if err := s.Listen("tcp://127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, at("tcp://"+s.Addr().String(), zmtp.Null{})
}

func recv(t testing.TB, s zmq4.Socket) string {
	t.Helper()
	m, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return text(m.Frames)
}

// TestZmq4Routers checks that three backends share 300 requests, and that when one is closed the
// others get all.
func TestZmq4Routers(t *testing.T) {
	o := options(zmtp.DEALER)
	counts := make([]int, 3)
	done := make(chan struct{})
	var routers []zmq4.Socket
	for i := range counts {
		router, e := listenZmq4(t, zmq4.NewRouter)
		o.Endpoints = append(o.Endpoints, e)
		routers = append(routers, router)
		go func() {
			defer func() { done <- struct{}{} }()
			for {
				m, err := router.Recv()
				if err != nil {
					return
				}
				if len(m.Frames) != 3 { // routing id, delimiter, request
					continue // zmq4 reports a lost peer this way
				}
				counts[i]++
				if router.Send(m) != nil {
					return
				}
			}
		}()
	}
	in := newInbox()
	s := dial(t, o, in)
	answers := make(map[string]int)
	for i := range 300 {
		send(t, s, message("", fmt.Sprint(i)))
	}
	for range 300 {
		answers[in.next(t)]++
	}
	if len(answers) != 300 {
		t.Errorf("%d different answers to 300 requests", len(answers))
	}
	routers[0].Close()
	<-done
	eventually(t, "the loss is noticed", func() bool { return s.Status()[0].State != Connected })
	for i := range 100 {
		send(t, s, message("", fmt.Sprint("more ", i)))
	}
	for range 100 {
		if m := in.next(t); !strings.HasPrefix(m, "|more ") {
			t.Errorf("answer %q", m)
		}
	}
	for _, r := range routers[1:] {
		r.Close()
		<-done
	}
	if counts[0] != 100 || counts[1] != 150 || counts[2] != 150 {
		t.Errorf("requests %v, want 100, 150 and 150", counts)
	}
}

func TestZmq4PubSub(t *testing.T) {
	one, e1 := listenZmq4(t, zmq4.NewPub)
	two, e2 := listenZmq4(t, zmq4.NewPub)
	in := newInbox()
	o := options(zmtp.SUB)
	o.Endpoints = []Endpoint{e1, e2}
	s := dial(t, o, in)
	subscribe(t, s, "house/1/")
	for _, pub := range []zmq4.Socket{one, two} {
		topics := pub.(zmq4.Topics)
		eventually(t, "the subscription has arrived", func() bool { return len(topics.Topics()) == 1 })
		pub.Send(zmq4.NewMsgFrom([]byte("house/2/t"), []byte("not subscribed")))
		pub.Send(zmq4.NewMsgFrom([]byte("house/1/t"), []byte("21")))
		want(t, in.next(t), "house/1/t|21")
	}
	in.empty(t)
}

func TestZmq4RepAndPull(t *testing.T) {
	rep, e := listenZmq4(t, zmq4.NewRep)
	in := newInbox()
	o := options(zmtp.REQ)
	o.Endpoints = []Endpoint{e}
	s := dial(t, o, in)
	for i := range 3 {
		send(t, s, message("", fmt.Sprint(i)))
		want(t, recv(t, rep), fmt.Sprint(i))
		rep.Send(zmq4.NewMsgString(fmt.Sprint("answer ", i)))
		want(t, in.next(t), fmt.Sprint("|answer ", i))
	}
	pull, e := listenZmq4(t, zmq4.NewPull)
	o = options(zmtp.PUSH)
	o.Endpoints = []Endpoint{e}
	p := dial(t, o, in)
	send(t, p, message("a", "b"))
	want(t, recv(t, pull), "a|b")
}

// TestZmq4Connects has a backend that connects to a bound socket, as one behind NAT does.
func TestZmq4Connects(t *testing.T) {
	s := listen(t, zmtp.DEALER)
	rep := zmq4.NewRep(context.Background())
	defer rep.Close()
	if err := rep.Dial(s.Endpoints()[0]); err != nil {
		t.Fatal(err)
	}
	one, in1 := attach(t, s)
	two, in2 := attach(t, s)
	send(t, one, message("", "1"))
	send(t, two, message("", "2"))
	for range 2 {
		rep.Send(zmq4.NewMsgString("answer " + recv(t, rep)))
	}
	want(t, in1.next(t), "|answer 1")
	want(t, in2.next(t), "|answer 2")
}
