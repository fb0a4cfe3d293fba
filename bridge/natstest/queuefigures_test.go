package natstest

import (
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	kept "github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/history/natsstore"
)

// openQueues opens the queues of a route on one of several bridges.
func openQueues(t *testing.T, n *natsServer, bridge string) *kept.Queues {
	log, err := kept.New(kept.Options{Replica: true})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := natsstore.Open(natsstore.Options{
		Server: natsstore.Server{URLs: []string{n.first}}, Name: "zwsbridge", Route: "/d", Bridge: bridge,
		Log: log, Deliver: func(b kept.Batch) error { return log.Replicate(b, nil) }, Logger: logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	q, err := kept.OpenQueues(kept.QueueOptions{Store: s.Queues(), Bridge: bridge, Alive: s.Alive, Failed: func(err error) {
		logger.Error("queues", "error", err)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close(); s.Close(); log.Close() })
	s.FollowQueues(q)
	return q
}

// TestQueueFigures prints, in make soak, what it costs that 10,000 clients of a bridge acknowledge
// something every second, and that another bridge knows it.
func TestQueueFigures(t *testing.T) {
	if os.Getenv("ZWSBRIDGE_SOAK") == "" {
		t.Skip("only in make soak")
	}
	const queues, seconds = 10_000, 10
	n := startNATS(t)
	here, there := openQueues(t, n, "here"), openQueues(t, n, "there")
	at := kept.Position{Generation: 1, Sequence: 1}
	held := make([]*kept.Queue, queues)
	for i := range held {
		key := kept.QueueKey{User: fmt.Sprintf("user%d@example.com", i)}
		var err error
		if held[i], err = here.Attach(key, true, at, func(error) {}); err != nil {
			t.Fatal(err)
		}
		held[i].Subscribe(fmt.Appendf(nil, "house/%d/", i))
	}
	known := func() bool {
		time.Sleep(100 * time.Millisecond) // to look is not what is measured
		list := there.List()
		for _, q := range list {
			if q.Acked != at {
				return false
			}
		}
		return len(list) == queues
	}
	eventually(t, "the other bridge knows the queues", known)
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	began, spent := used(), cpu(n.process)[0]
	for range seconds {
		at.Sequence++
		for _, q := range held {
			q.Ack(at, at)
		}
		eventually(t, "the other bridge knows what was acknowledged", known)
	}
	t.Logf("%d queues acknowledge %d times: both bridges use %v, NATS %v a time", queues, seconds,
		(used()-began)/seconds, (cpu(n.process)[0]-spent)/seconds)
}
