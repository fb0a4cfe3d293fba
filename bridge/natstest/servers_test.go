package natstest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// TestNATSAway: NATS is away for longer than the lease, a minute in make soak, while a backend
// publishes. No client misses or doubles anything.
func TestNATSAway(t *testing.T) {
	away := 2 * lease
	if os.Getenv("ZWSBRIDGE_SOAK") != "" {
		away = time.Minute
	}
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "")
	p.waitIngested(leader)
	a, b := dial(t, leader, "", "house/t"), dial(t, follower, "", "house/t")
	from := p.last + 1
	stop := p.stream()
	n.kill()
	time.Sleep(away)
	n.again()
	eventually(t, "both have NATS again", func() bool {
		return leader.history().State == "ok" && follower.history().State == "ok"
	})
	stop()
	p.publish("house/t", 1)
	a.expect(from, p.last)
	b.expect(from, p.last)
	if a.at != b.at {
		t.Errorf("the positions are %s and %s", a.at, b.at)
	}
}

// startCluster starts three NATS servers.
func startCluster(t *testing.T) (servers []*natsServer) {
	var ports []string
	for range 3 {
		ports = append(ports, freePort(t))
	}
	for i := range 3 {
		args := append([]string{t.TempDir(), freePort(t), strconv.Itoa(i)}, ports...)
		servers = append(servers, &natsServer{t: t, dir: args[0], port: args[1], process: start(t, "nats", args...)})
	}
	return servers
}

// TestThreeServers: of three NATS servers the one that leads the stream is killed. All clients have the
// same, and where something is missing, since another bridge has taken the lease, a gap is told.
func TestThreeServers(t *testing.T) {
	servers, p := startCluster(t), startPress(t)
	var urls []string
	for _, s := range servers {
		urls = append(urls, s.first)
	}
	text := strings.Replace(configuration(servers[0], p, ""), fmt.Sprintf("[%q]", servers[0].first),
		`["`+strings.Join(urls, `", "`)+"\"]\nreplicas = 3", 1)
	leader := startBridge(t, text)
	eventually(t, "a bridge leads", leader.leads)
	follower := startBridge(t, text)
	eventually(t, "the other knows it", func() bool { return follower.history().Leader == leader.history().Leader })
	p.waitIngested(leader)
	a, b := dial(t, leader, "", "house/t"), dial(t, follower, "", "house/t")
	stop := p.stream()
	before := a.some(1, nil)
	first := a.at
	c, err := nats.Connect(strings.Join(urls, ","))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	streamLeader := func() (number int, ok bool) {
		ctx, cancel := context.WithTimeout(t.Context(), lease)
		defer cancel()
		stream, err := js.Stream(ctx, "zwsbridge_log_d")
		if err != nil || stream.CachedInfo().Cluster == nil {
			return 0, false
		}
		number, err = strconv.Atoi(stream.CachedInfo().Cluster.Leader)
		return number, err == nil
	}
	var killed int
	eventually(t, "a server leads the stream", func() (ok bool) { killed, ok = streamLeader(); return ok })
	servers[killed].kill()
	eventually(t, "another server leads the stream", func() bool {
		number, ok := streamLeader()
		return ok && number != killed
	})
	eventually(t, "both bridges go on", func() bool {
		return leader.history().State == "ok" && follower.history().State == "ok"
	})
	stop()
	p.publish("house/t", 1)
	had, other := a.until(p.last, before), b.until(p.last, nil)
	from := max(had[0].number, other[0].number)
	later := func(r received) bool { return r.number >= from }
	had, other = had[slices.IndexFunc(had, later):], other[slices.IndexFunc(other, later):]
	same(t, other, had)
	again := dial(t, follower, first, "house/t")
	again.until(p.last, nil)
	if missing := p.last - from + 1 - len(had); !again.resumed.Recovered || missing > 0 && !again.resumed.Gap {
		t.Errorf("resumed: %+v, and %d messages are missing", *again.resumed, missing)
	}
}

// serveNATS serves NATS in this process, at a port of its own, until the test ends.
func serveNATS(t *testing.T, o server.Options) *server.Server {
	t.Helper()
	o.Host, o.Port, o.NoSigs, o.NoLog = "127.0.0.1", -1, true, true
	s, err := server.NewServer(&o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	return s
}

// TestTLS: NATS is reached with TLS, a password and a CA; the log says so where the CA is another.
func TestTLS(t *testing.T) {
	https := httptest.NewTLSServer(nil)
	defer https.Close()
	s := serveNATS(t, server.Options{
		JetStream: true, StoreDir: t.TempDir(),
		Username: "bridge", Password: "right", TLS: true, TLSTimeout: 5, TLSConfig: &tls.Config{Certificates: https.TLS.Certificates},
	})
	dir := t.TempDir()
	other, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"password": []byte("right\n"), "other.pem": other,
		"ca.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: https.Certificate().Raw}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := func(ca string) string {
		text := configuration(&natsServer{process: &process{first: "tls://" + s.Addr().String()}}, startPress(t), "")
		return strings.Replace(text, "lease =", fmt.Sprintf("user = \"bridge\"\npassword_file = %q\nca = %q\nlease =",
			filepath.Join(dir, "password"), filepath.Join(dir, ca)), 1)
	}
	waitError(t, startBridge(t, text("other.pem")), "certificate signed by unknown authority")
	b := startBridge(t, text("ca.pem"))
	eventually(t, "the bridge leads", b.leads)
}

// generate returns a certificate of its own.
func generate() (certificate []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}
