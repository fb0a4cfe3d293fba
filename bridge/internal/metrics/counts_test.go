package metrics

import (
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// silent fails the test if it is asked for the gauges.
type silent struct{ t *testing.T }

func (s silent) Gauges() Gauges {
	s.t.Error("the gauges were gathered for the counts")
	return Gauges{}
}

// TestCounts checks that the counts are those of the metrics, and are had without listing all sessions.
func TestCounts(t *testing.T) {
	m := New(silent{t})
	m.Route("/a") // makes counters that are 0, which are left out
	m.Authenticator("users")
	m.sessions.WithLabelValues("/a", "ZWS2.0").Add(2)
	m.sessions.WithLabelValues("/a", "ZWSJSON1.0").Add(1)
	m.messages.WithLabelValues("/a", "in").Add(3)
	m.messages.WithLabelValues("/a", "out").Add(4)
	m.bytes.WithLabelValues("/a", "in").Add(5)
	m.bytes.WithLabelValues("/a", "out").Add(6)
	m.dropped.WithLabelValues("/a", "unroutable").Add(7)
	m.refusals.WithLabelValues("/a", "4401").Add(8)
	m.ended.WithLabelValues("/a", "1001").Add(9)
	m.Login("users", zap.OK, time.Second)
	c, err := m.Counts()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Routes["/a"], (RouteCounts{Sessions: 3, MessagesIn: 3, MessagesOut: 4, BytesIn: 5, BytesOut: 6, Dropped: 7}); got != want {
		t.Errorf("route %+v, want %+v", got, want)
	}
	if len(c.Refusals) != 1 || c.Refusals[0] != (CodeCount{"/a", "4401", 8}) {
		t.Errorf("refusals %v", c.Refusals)
	}
	if len(c.Ends) != 1 || c.Ends[0] != (CodeCount{"/a", "1001", 9}) {
		t.Errorf("ends %v", c.Ends)
	}
	if len(c.Logins) != 1 || c.Logins[0] != (LoginCount{"users", "200", 1}) {
		t.Errorf("logins %v", c.Logins)
	}
}
