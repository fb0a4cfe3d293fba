//go:build linux

package poll

import (
	"net"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type ready chan struct{}

func (r ready) Ready() { r <- struct{}{} }

// TestPoller: Ready is called once for each Watch, also for what has arrived before, and not after Forget.
func TestPoller(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var conns, others [2]net.Conn
	var places [2]Place
	for i := range conns {
		if others[i], err = net.Dial("tcp", l.Addr().String()); err != nil {
			t.Fatal(err)
		}
		defer others[i].Close()
		if conns[i], err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
	}
	r, forgotten := make(ready, 10), make(ready, 10)
	watch := func(i int, w Watched) {
		t.Helper()
		if !p.Watch(&places[i], Socket(conns[i]), w) {
			t.Fatal("cannot be watched")
		}
	}
	watch(1, forgotten)
	p.Forget(&places[1])
	others[1].Write([]byte("a"))

	for range 3 { // it is not read
		watch(0, r)
		others[0].Write([]byte("a"))
		<-r
	}
	watch(1, r)
	<-r
	conns[0].Read(make([]byte, 100))
	watch(0, r)
	others[0].Close()
	<-r
	if len(r) > 0 || len(forgotten) > 0 {
		t.Errorf("Ready was called %d times too often", len(r)+len(forgotten))
	}
	conns[0].Close()
	if p.Watch(&places[0], Socket(conns[0]), r) {
		t.Error("a closed connection can be watched")
	}
	if p.Watch(new(Place), nil, r) {
		t.Error("nothing can be watched")
	}
	if n := len(p.conns); n > 0 {
		t.Errorf("%d connections that ended are kept", n)
	}
}
