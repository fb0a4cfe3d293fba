package natstest

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// readiness returns what /readyz of the bridge says is degraded.
func (b *bridgeProcess) readiness() string {
	var ready struct{ Degraded []string }
	b.get("/readyz", &ready)
	return strings.Join(ready.Degraded, "; ")
}

// TestDifferentTopics: a bridge whose route keeps other topics than that of the leader says so, until
// the leader is another one.
func TestDifferentTopics(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	leader := startBridge(t, configuration(n, p, ""))
	eventually(t, "a bridge leads", leader.leads)
	other := startBridge(t, strings.Replace(configuration(n, p, ""), `["house/"]`, `["house/", "garden/"]`, 1))
	const degraded = "history configured differently: /d"
	waitError(t, other, "bridges have different configurations")
	eventually(t, "it is degraded", func() bool { return other.readiness() == degraded })
	if got := leader.readiness(); got != "" {
		t.Errorf("the leader is degraded: %s", got)
	}
	leader.kill()
	eventually(t, "the other leads, with its own topics", func() bool { return other.leads() && other.readiness() == "" })
}

// TestConsumersOfRetries: a bridge that reads the stream again and again, since it has a message that
// the bridge cannot read, leaves no consumers behind.
func TestConsumersOfRetries(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	b := startBridge(t, configuration(n, p, ""))
	eventually(t, "the bridge leads", b.leads)
	p.waitIngested(b)
	c, js := stranger(t, n)
	created, err := c.SubscribeSync("$JS.EVENT.ADVISORY.CONSUMER.CREATED.zwsbridge_log_d.>")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	stream, err := js.Stream(ctx, "zwsbridge_log_d")
	if err != nil {
		t.Fatal(err)
	}
	// As a bridge of a later version writes it.
	later := &nats.Msg{Subject: "zwsbridge.log.d", Data: []byte("\x02" + strings.Repeat("\x00", 40)), Header: nats.Header{}}
	later.Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(stream.CachedInfo().State.LastSeq, 10))
	if _, err := js.PublishMsg(ctx, later); err != nil {
		t.Fatal(err)
	}
	waitError(t, b, "the stream has messages of version 2, want 1")
	for range 5 {
		if _, err := created.NextMsgWithContext(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := stream.Info(ctx); err != nil || info.State.Consumers > 2 {
		t.Errorf("the stream has %d consumers (%v), want at most 2", info.State.Consumers, err)
	}
}

// TestLeaseRenewals: the lease is renewed at its interval, and not by each renewal that is seen.
func TestLeaseRenewals(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	startTwo(t, n, p, "")
	_, js := stranger(t, n)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	kv, err := js.KeyValue(ctx, "zwsbridge_leases")
	if err != nil {
		t.Fatal(err)
	}
	w, err := kv.Watch(ctx, "d", jetstream.UpdatesOnly())
	if err != nil {
		t.Fatal(err)
	}
	var times []time.Time // by the clock of NATS
	for len(times) < 8 {
		select {
		case entry := <-w.Updates():
			times = append(times, entry.Created())
		case <-ctx.Done():
			t.Fatalf("%d renewals", len(times))
		}
	}
	// The first can be of a lease that was just taken, or of a backend that was connected.
	if took := times[7].Sub(times[3]); took < lease {
		t.Errorf("the lease was renewed 4 times in %v, want 4 times in %v", took, 4*lease/3)
	}
}
