package main

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/bench/load"
)

// repeated measures several times, each time with a new server and new clients.
func repeated[T any](o options, f func() (T, error)) ([]T, error) {
	var all []T
	for range o.repeat {
		one, err := f()
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// figureOf formats the median of a figure with its smallest and largest value: "0.31 (0.30-0.35)".
func figureOf[T any](format string, all []T, figure func(T) float64) string {
	var values []float64
	for _, one := range all {
		values = append(values, figure(one))
	}
	text := fmt.Sprintf(format, middle(values))
	if len(values) > 1 {
		text += fmt.Sprintf(" ("+format+"-"+format+")", slices.Min(values), slices.Max(values))
	}
	return text
}

// middle returns the median.
func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// The figures of a load.Result, in the units of the tables.
func cpuSeconds(r load.Result) float64 { return r.CPU.Seconds() }
func millions(r load.Result) float64   { return r.Rate / 1e6 }
func perSecond(r load.Result) float64  { return r.Rate }
func p50(r load.Result) float64        { return float64(r.P50) / 1e6 }
func p99(r load.Result) float64        { return float64(r.P99) / 1e6 }

// fewWaiting is how many messages a publisher that waits for its clients is ahead of the slowest one.
const fewWaiting = 16

// fanoutPart measures fan-out to 1, 10, 100 and 1000 clients by a publisher that is far ahead of them.
func fanoutPart(o options) error {
	lines, err := fanoutTable(o, "Fan-out, saturated, many messages waiting (up to 8,192, from 1,000 clients on 2,048)", 0)
	if err != nil || len(lines) == 0 {
		return err
	}
	return draw(o.plot, "Saturated fan-out, 100-byte messages", "WebSocket clients", "CPU seconds per million deliveries", lines)
}

// fanoutFewPart is fanoutPart with a publisher that is never more than fewWaiting messages ahead.
func fanoutFewPart(o options) error {
	_, err := fanoutTable(o, fmt.Sprintf("Fan-out, saturated, few messages waiting (up to %d)", fewWaiting), fewWaiting)
	return err
}

const fanoutUnits = ": CPU s of the server per million deliveries · million deliveries/s"

func fanoutTable(o options, title string, window int64) ([]line, error) {
	var columns []string
	for _, n := range o.clients {
		columns = append(columns, fmt.Sprintf("N=%d", n))
	}
	t := newTable(title+fanoutUnits, columns...)
	var lines []line
	for _, p := range fanoutPeers(o) {
		if !o.peers.MatchString(p.Name) {
			continue
		}
		l := line{name: p.Name}
		row := []string{p.Name}
		for _, n := range o.clients {
			all, cell := fanoutCell(o, t, p, load.Profile{Clients: n, Window: window})
			if row = append(row, cell); len(all) > 0 {
				var cpu []float64
				for _, r := range all {
					cpu = append(cpu, cpuSeconds(r))
				}
				l.x, l.y = append(l.x, float64(n)), append(l.y, middle(cpu))
			}
		}
		t.row(row...)
		lines = append(lines, l)
	}
	t.print()
	return lines, nil
}

// fanoutCell measures one cell. A failure becomes a note.
func fanoutCell(o options, t *table, p *load.Peer, l load.Profile) ([]load.Result, string) {
	l.Pace = o.pace()
	all, err := repeated(o, func() (load.Result, error) { return load.Run(p, l) })
	if err != nil {
		t.note("%s, N=%d: %v", p.Name, l.Clients, err)
		return nil, "failed"
	}
	return all, figureOf("%.3f", all, cpuSeconds) + " · " + figureOf("%.2f", all, millions)
}

// tlsPart measures saturated fan-out over TLS.
func tlsPart(o options) error {
	t := newTable("Fan-out over TLS, saturated, many messages waiting"+fanoutUnits, "N=10", "N=100")
	for _, p := range fanoutPeers(o) {
		if !strings.HasPrefix(p.Name, "zwsbridge") && p.Name != "nats-server" || !o.peers.MatchString(p.Name) {
			continue
		}
		row := []string{p.Name}
		for _, n := range []int{10, 100} {
			_, cell := fanoutCell(o, t, p, load.Profile{Clients: n, TLS: true})
			row = append(row, cell)
		}
		t.row(row...)
	}
	t.print()
	return nil
}

// pacedPart measures latency and cost at 100,000 deliveries a second.
func pacedPart(o options) error {
	t := newTable("Paced, 100,000 deliveries/s, few messages waiting: CPU s per million deliveries · p50 ms · p99 ms", "100 × 1,000/s", "1,000 × 100/s")
	peers := append(fanoutPeers(o), load.Bridge("zwsbridge, flush = 5ms", o.zwsbridge, "/flush"))
	for _, p := range peers {
		if !o.peers.MatchString(p.Name) {
			continue
		}
		row := []string{p.Name}
		for _, l := range []load.Profile{{Clients: 100, Rate: 1000}, {Clients: 1000, Rate: 100}} {
			l.Pace = o.pace()
			all, err := repeated(o, func() (load.Result, error) { return load.Run(p, l) })
			if err != nil {
				row = append(row, "failed")
				t.note("%s, N=%d: %v", p.Name, l.Clients, err)
				continue
			}
			row = append(row, figureOf("%.2f", all, cpuSeconds)+" · "+figureOf("%.2f", all, p50)+" · "+figureOf("%.2f", all, p99))
		}
		t.row(row...)
	}
	t.print()
	return nil
}

func (o options) pace() load.Pace { return load.Pace{Duration: o.duration} }

// slowPart measures what clients that do not read cost the others.
func slowPart(o options) error {
	t := newTable("90 healthy clients, 1,000 messages/s: p50 ms · p99 ms of the healthy", "alone", "beside 10 stalled")
	for _, p := range fanoutPeers(o)[:1] {
		row := []string{p.Name}
		for _, stalled := range []int{0, 10} {
			all, err := repeated(o, func() (load.Result, error) {
				return load.Run(p, load.Profile{Clients: 90, Rate: 1000, Stalled: stalled, Pace: o.pace()})
			})
			if err != nil {
				return err
			}
			row = append(row, figureOf("%.2f", all, p50)+" · "+figureOf("%.2f", all, p99))
		}
		t.row(row...)
	}
	t.print()
	return nil
}

// requestsPart measures round trips of DEALER to an echo.
func requestsPart(o options) error {
	t := newTable("DEALER through the bridge, clients × requests in flight: round trips/s · CPU µs each", "1 × 1 (few waiting)", "1 × 64 (many)", "64 × 1 (few)")
	for _, p := range []struct {
		name  string
		start func(*load.Server) error
		login func(*load.Server) (*load.Conn, error)
	}{
		{"zwsbridge, private upstreams", load.StartBridge(o.zwsbridge), load.BridgeDealer("/private")},
		{"zwsbridge, share = requests", load.StartBridge(o.zwsbridge), load.BridgeDealer("/shared")},
		{"libzmq proxy ROUTER ↔ DEALER", load.StartLibzmq("router"), load.LibzmqDealer},
	} {
		if !o.peers.MatchString(p.name) {
			continue
		}
		row := []string{p.name}
		for _, l := range []struct{ clients, inFlight int }{{1, 1}, {1, 64}, {64, 1}} {
			all, err := repeated(o, func() (load.Result, error) {
				return load.RoundTrips(load.Requests{Start: p.start, Login: p.login, Clients: l.clients, InFlight: l.inFlight, Pace: o.pace()})
			})
			if err != nil {
				row = append(row, "failed")
				t.note("%s, %d × %d: %v", p.name, l.clients, l.inFlight, err)
				continue
			}
			row = append(row, figureOf("%.0f", all, perSecond)+" · "+figureOf("%.1f", all, cpuSeconds))
		}
		t.row(row...)
	}
	t.print()
	return nil
}

// topicsPart measures clients that subscribe to 20 of many topics each, at 5,000 messages a
// second.
func topicsPart(o options) error {
	t := newTable("20 topics for each client, 5,000 messages/s: µs of the server's CPU for a message", "1,000 clients", "10,000 clients")
	for _, topics := range []int{2000, 20000, 200000} {
		row := []string{fmt.Sprintf("%d topics", topics)}
		for _, clients := range []int{1000, 10000} {
			p := load.Bridge("", o.zwsbridge, "")
			p.Start = load.StartBridgeForTopics(o.zwsbridge)
			p.Connect = func(srv *load.Server, i int) (net.Conn, error) {
				var subscribed []string
				for k := range 20 {
					subscribed = append(subscribed, load.TopicName((i*20+k)%topics))
				}
				return load.BridgeSub(srv, "/sub", subscribed...)
			}
			f, err := load.Run(p, load.Profile{Clients: clients, Rate: 5000, Topics: topics, Pace: o.pace()})
			if err != nil {
				return err
			}
			row = append(row, fmt.Sprintf("%.1f (%.0f deliveries/s)", float64(f.Message.Nanoseconds())/1e3, f.Rate))
		}
		t.row(row...)
	}
	t.print()
	return nil
}

// idlePart measures the memory of clients that wait.
func idlePart(o options) error {
	t := newTable(fmt.Sprintf("Resident kB for each of %d idle connections, subscribed except for DEALER", o.idle), "ws", "wss")
	for _, p := range fanoutPeers(o) {
		if !o.peers.MatchString(p.Name) || p.Name == "libzmq proxy" {
			continue
		}
		row := []string{p.Name}
		for _, secure := range []bool{false, true} {
			if secure && !strings.HasPrefix(p.Name, "zwsbridge") && p.Name != "nats-server" && p.Name != "centrifuge" {
				row = append(row, "")
				continue
			}
			all, err := repeated(o, func() (int64, error) { return load.Idle(p, o.idle, secure, 5*time.Second) })
			if err != nil {
				row = append(row, "failed")
				t.note("%s: %v", p.Name, err)
				continue
			}
			row = append(row, figureOf("%.1f", all, kib))
		}
		t.row(row...)
	}
	if err := idleDealers(o, t); err != nil {
		return err
	}
	t.print()
	return nil
}

func kib(bytes int64) float64 { return float64(bytes) / 1024 }

// idleDealers adds a row for clients with a backend connection of their own.
func idleDealers(o options, t *table) error {
	const name = "zwsbridge, DEALER private"
	if !o.peers.MatchString(name) {
		return nil
	}
	all, err := repeated(o, func() (int64, error) {
		return load.IdleRequests(load.Requests{
			Start: load.StartBridge(o.zwsbridge), Login: load.BridgeDealer("/private"), Clients: o.idle,
		}, 5*time.Second)
	})
	if err != nil {
		return err
	}
	t.row(name, figureOf("%.1f", all, kib), "")
	return nil
}

// loginsPart measures what it costs to let a client in.
func loginsPart(o options) error {
	t := newTable("Clients that connect: CPU µs of the server each", "ws", "wss, full handshake")
	for _, p := range []*load.Peer{
		load.Bridge("zwsbridge, PLAIN and a subscription", o.zwsbridge, "/sub"),
		load.BridgeMux("zwsbridge, ZWSMUX1.0, PLAIN and a channel", o.zwsbridge, "/sub"),
		{Name: "net/http and gorilla, upgrade alone", Start: hosted("upgrade"), Connect: load.Upgrade, Publisher: load.NoPublisher},
	} {
		if !o.peers.MatchString(p.Name) {
			continue
		}
		row := []string{p.Name}
		for _, secure := range []bool{false, true} {
			all, err := repeated(o, func() (time.Duration, error) { return load.Logins(p, 1000, secure) })
			if err != nil {
				return err
			}
			row = append(row, figureOf("%.0f", all, func(d time.Duration) float64 { return float64(d) / 1e3 }))
		}
		t.row(row...)
	}
	t.print()
	return nil
}
