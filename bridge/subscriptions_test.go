package bridge_test

import (
	"fmt"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// receiveTopics reads until a message of every topic was received.
func receiveTopics(t *testing.T, c *zws.Client, topics ...string) {
	t.Helper()
	missing := make(map[string]bool)
	for _, topic := range topics {
		missing[topic] = true
	}
	for len(missing) > 0 {
		m, err := c.Recv(t.Context())
		if err != nil {
			t.Fatalf("topics %v are missing: %v", missing, err)
		}
		delete(missing, string(m[0]))
	}
}

// TestNarrowedSubscriptionLimit checks that max_subscriptions counts what a client subscribes
// to, not what on_wide = "narrow" makes of it.
func TestNarrowedSubscriptionLimit(t *testing.T) {
	topics := []string{"a/1", "b/1", "c/1", "d/1"}
	url, _ := start(t, "[server]\nmax_subscriptions = 1\n"+usersOnly+
		routeTo("/n", "SUB", "tcp://127.0.0.1:"+broadcast(t, topics...), `on_wide = "narrow"`,
			`allow = [{ user = "*", subscribe = ["a/", "b/", "c/", "d/"] }]`))
	c := connect(t, url+"/n", plainLogin("alice", zmtp.SUB))
	must(t, c.Subscribe(t.Context(), nil))
	receiveTopics(t, c, topics...)
}

// TestSubscriptionLimitReloaded checks that a raised limit applies to live sessions.
func TestSubscriptionLimitReloaded(t *testing.T) {
	topics := []string{"a/1", "b/1", "c/1", "d/1"}
	endpoint := "tcp://127.0.0.1:" + broadcast(t, topics...)
	text := func(limit int) string {
		return fmt.Sprintf("[server]\nmax_subscriptions = %d\n", limit) + usersOnly + routeTo("/n", "SUB", endpoint)
	}
	var dir string
	url, b := startIn(t, func(d string) string {
		dir = d
		return text(2)
	})
	c := connect(t, url+"/n", plainLogin("alice", zmtp.SUB))
	must(t, c.Subscribe(t.Context(), []byte("a/"), []byte("b/")))
	receiveTopics(t, c, topics[:2]...)
	reload(t, b, dir, text(4))
	must(t, c.Subscribe(t.Context(), []byte("c/"), []byte("d/")))
	receiveTopics(t, c, topics...)
	must(t, c.Subscribe(t.Context(), []byte("e/")))
	if got := sessionEnd(t, c); got.Code != zws.CodeForbidden {
		t.Errorf("one subscription above the limit: %v, want 4403", got)
	}
}
