package natstest

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	kept "github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/history/natsstore"
)

// endpoints lists what the bridge says of the endpoints of its route.
func (b *bridgeProcess) endpoints() string {
	var backends []struct{ Address, Source, State string }
	b.get("/backends", &backends)
	var list []string
	for _, e := range backends {
		list = append(list, e.Address+" "+e.Source+" "+e.State)
	}
	return strings.Join(list, ", ")
}

// TestOperator: what an operator connects and disconnects by a bridge that does not lead is done by
// the one that does, and by the next one, also if that was started later.
func TestOperator(t *testing.T) {
	n, p, more := startNATS(t), startPress(t), startPress(t)
	text := fmt.Sprintf("endpoints_allowed = [%q, %q]\n", more.endpoint, p.endpoint)
	leader, follower := startTwo(t, n, p, text)
	change := func(b *bridgeProcess, what, endpoint, want string) {
		t.Helper()
		body := fmt.Sprintf(`{"route":"/d","endpoint":%q}`, endpoint)
		if status, answer := b.change("/routes/"+what, body); !strings.HasPrefix(fmt.Sprint(status, " ", answer), want) {
			t.Errorf("%s %s: %d %s, want %s", what, endpoint, status, answer, want)
		}
	}
	shows := func(b *bridgeProcess, want ...string) {
		t.Helper()
		eventually(t, strings.Join(want, ", "), func() bool { return b.endpoints() == strings.Join(want, ", ") })
	}
	change(follower, "connect", more.endpoint, `200 {"connected":true}`)
	change(follower, "connect", more.endpoint, `200 {"connected":false}`)
	change(follower, "connect", "tcp://127.0.0.1:1", `403 endpoint "tcp://127.0.0.1:1" of route /d: endpoints_allowed of the route does not list`)
	file, admin := p.endpoint+" file ready", more.endpoint+" admin ready"
	shows(leader, file, admin)
	shows(follower, file, admin)
	c := dial(t, follower, "", "house/t")
	eventually(t, "the client hears the new backend", func() bool {
		more.publish("house/t", 1)
		_, err := c.tryNext(20 * time.Millisecond)
		return err == nil
	})
	change(leader, "disconnect", p.endpoint, `200 {"disconnected":true}`)
	shows(follower, admin)
	third := startBridge(t, configuration(n, p, text))
	shows(third, admin)
	for _, last := range []*bridgeProcess{leader, follower} { // one after the other
		last.kill()
		if last == leader {
			eventually(t, "another bridge leads", func() bool { return follower.leads() || third.leads() })
		}
	}
	eventually(t, "the third bridge leads", third.leads)
	shows(third, admin)
	change(third, "disconnect", more.endpoint, `200 {"disconnected":true}`)
	change(third, "connect", p.endpoint, `200 {"connected":true}`)
	shows(third, file)
	fourth := startBridge(t, configuration(n, p, text))
	shows(fourth, file)
	n.kill()
	change(fourth, "connect", more.endpoint, fmt.Sprintf("503 endpoint %q of route /d: it has to be done by the bridge that reads the backends", more.endpoint))
}

// TestOperateOnClose: a bridge that is closed finishes what an operator has asked of it before.
func TestOperateOnClose(t *testing.T) {
	n := startNATS(t)
	open := func(bridge string, operate func(request []byte) (reply []byte)) (*natsstore.Share, func()) {
		log, err := kept.New(kept.Options{Replica: true})
		if err != nil {
			t.Fatal(err)
		}
		s, err := natsstore.Open(natsstore.Options{
			Server: natsstore.Server{URLs: []string{n.first}}, Name: "zwsbridge", Route: "/d", Bridge: bridge,
			Log: log, Deliver: func(b kept.Batch) error { return log.Replicate(b, nil) }, Operate: operate,
			Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		closing := sync.OnceFunc(func() { s.Close(); log.Close() })
		t.Cleanup(closing)
		return s, closing
	}
	asked, closed := make(chan struct{}), make(chan struct{})
	early := make(chan bool, 1)
	leader, closing := open("leader", func([]byte) []byte {
		close(asked)
		select {
		case <-closed:
			early <- true
		case <-time.After(100 * time.Millisecond): // in which it would be closed, if it did not wait
			early <- false
		}
		return nil
	})
	eventually(t, "it leads", leader.Leading)
	other, _ := open("other", nil)
	go other.Operate(nil)
	<-asked
	closing()
	close(closed)
	if <-early {
		t.Error("closed while an operation was on its way")
	}
}
