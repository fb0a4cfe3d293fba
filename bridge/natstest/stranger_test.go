package natstest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// stranger connects another client to the NATS server.
func stranger(t *testing.T, n *natsServer) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	c, err := nats.Connect(n.first)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return c, js
}

// waitError waits until the log of b has an error with that text.
func waitError(t *testing.T, b *bridgeProcess, text string) {
	t.Helper()
	eventually(t, "the log says: "+text, func() bool { return strings.Contains(b.log.String(), text) })
}

// TestStrangerPublishes: what another client of NATS publishes into the subjects of a route is
// skipped, and nothing else is lost or doubled.
func TestStrangerPublishes(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "")
	p.waitIngested(leader)
	a, b := dial(t, leader, "", "house/t"), dial(t, follower, "", "house/t")
	_, js := stranger(t, n)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, garbage := range []string{
		"", "garbage", "\x02" + strings.Repeat("\x00", 40), "\x01\x02" + strings.Repeat("\x00", 40),
		"\x01\x00" + strings.Repeat("\xff", 21), "\x01\x04" + strings.Repeat("\x7f", 60),
	} {
		from := p.last + 1
		p.publish("house/t", 5)
		for _, subject := range []string{"zwsbridge.log.d", "$KV.zwsbridge_leases.d"} {
			if _, err := js.Publish(ctx, subject, []byte(garbage)); err != nil {
				t.Fatal(err)
			}
		}
		p.publish("house/t", 5)
		a.expect(from, p.last)
		b.expect(from, p.last)
	}
	waitError(t, follower, "a message that is not from a bridge is skipped")
	// Also one that reads the stream from its beginning.
	third := startBridge(t, configuration(n, p, ""))
	eventually(t, "it knows the leader", func() bool { return third.history().Leader != "" })
	c := dial(t, third, a.at, "house/t")
	from := p.last + 1
	p.publish("house/t", 5)
	c.expect(from, p.last)
	if !c.resumed.Recovered {
		t.Errorf("resumed: %+v, want recovered", *c.resumed)
	}
}

// TestForeignStream: streams of the same names with other subjects are not changed, and the log says
// why the route has no history.
func TestForeignStream(t *testing.T) {
	n, p := startNATS(t), startPress(t)
	_, js := stranger(t, n)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	names := []string{"zwsbridge_log_d", "zwsbridge_queues_d"}
	for _, name := range names {
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{name + ".orders"}}); err != nil {
			t.Fatal(err)
		}
	}
	b := startBridge(t, configuration(n, p, ""))
	for _, name := range names {
		waitError(t, b, "stream "+name+" has the subjects")
		stream, err := js.Stream(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().Config; len(got.Subjects) != 1 || got.Subjects[0] != name+".orders" || got.MaxAge != 0 {
			t.Errorf("the stream has subjects %q and max age %v now", got.Subjects, got.MaxAge)
		}
	}
}

// TestNoJetStream: the log says what the NATS server is missing.
func TestNoJetStream(t *testing.T) {
	s := serveNATS(t, server.Options{})
	b := startBridge(t, configuration(&natsServer{process: &process{first: s.ClientURL()}}, startPress(t), ""))
	waitError(t, b, "JetStream does not answer")
}

// TestCorrectedPassword: the log says that NATS refuses the password, and a corrected one is used
// without a restart.
func TestCorrectedPassword(t *testing.T) {
	s := serveNATS(t, server.Options{
		JetStream: true, StoreDir: t.TempDir(),
		Username: "bridge", Password: "right",
	})
	file := filepath.Join(t.TempDir(), "password")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("wrong")
	text := configuration(&natsServer{process: &process{first: s.ClientURL()}}, startPress(t), "")
	b := startBridge(t, strings.Replace(text, "lease =", "user = \"bridge\"\npassword_file = \""+file+"\"\nlease =", 1))
	waitError(t, b, "Authorization Violation")
	refused := time.Now().Add(lease) // in which a client that gives up has done so
	eventually(t, "several attempts are refused", func() bool { return time.Now().After(refused) })
	write("right")
	eventually(t, "the bridge leads", b.leads)
}
