package bridge_test

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// hearTopics reads until every topic has come.
func hearTopics(t *testing.T, c *zws.Client, topics ...string) {
	t.Helper()
	missing := make(map[string]bool)
	for _, topic := range topics {
		missing[topic] = true
	}
	for len(missing) > 0 {
		m, err := c.Recv()
		if err != nil {
			t.Fatalf("%v are missing: %v", missing, err)
		}
		delete(missing, string(m[0]))
	}
}

// TestNarrowedToMany: what a client subscribes to is counted, not what is left of it by its
// rights.
func TestNarrowedToMany(t *testing.T) {
	topics := []string{"a/1", "b/1", "c/1", "d/1"}
	url, _ := start(t, "[server]\nmax_subscriptions = 1\n"+usersOnly+
		routeTo("/n", "SUB", "tcp://127.0.0.1:"+station(t, topics...), `on_wide = "narrow"`,
			`allow = [{ user = "*", subscribe = ["a/", "b/", "c/", "d/"] }]`))
	c := connect(t, url+"/n", byPassword("alice", zmtp.SUB))
	must(t, c.Subscribe(nil))
	hearTopics(t, c, topics...)
}

// TestSubscriptionLimitReloaded: a limit that is raised holds for those who are there.
func TestSubscriptionLimitReloaded(t *testing.T) {
	topics := []string{"a/1", "b/1", "c/1", "d/1"}
	endpoint := "tcp://127.0.0.1:" + station(t, topics...)
	text := func(limit int) string {
		return fmt.Sprintf("[server]\nmax_subscriptions = %d\n", limit) + usersOnly + routeTo("/n", "SUB", endpoint)
	}
	var dir string
	url, b := startIn(t, func(d string) string {
		dir = d
		return text(2)
	})
	c := connect(t, url+"/n", byPassword("alice", zmtp.SUB))
	must(t, c.Subscribe([]byte("a/"), []byte("b/")))
	hearTopics(t, c, topics[:2]...)
	reload(t, b, dir, text(4))
	must(t, c.Subscribe([]byte("c/"), []byte("d/")))
	hearTopics(t, c, topics...)
	must(t, c.Subscribe([]byte("e/")))
	if got := ended(t, c); got.Code != zws.CodeForbidden {
		t.Errorf("one more than the limit: %v, want 4403", got)
	}
}
