package main

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/bench/load"
)

// median measures several times, each time with a new server and new clients, and returns
// the measurement with the median processor time.
func median(o options, f func() (load.Result, error)) (load.Result, error) {
	var all []load.Result
	for range o.repeat {
		one, err := f()
		if err != nil {
			return load.Result{}, err
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b load.Result) int { return int(a.CPU - b.CPU) })
	return all[len(all)/2], nil
}

// fanoutPart measures saturated fan-out to 1, 10, 100 and 1000 clients.
func fanoutPart(o options) error {
	var columns []string
	for _, n := range o.clients {
		columns = append(columns, fmt.Sprintf("N=%d", n))
	}
	t := newTable("Saturated fan-out: CPU seconds of the server per million deliveries (million deliveries/s)", columns...)
	var lines []line
	for _, p := range fanoutPeers(o) {
		if !o.peers.MatchString(p.Name) {
			continue
		}
		l := line{name: p.Name}
		row := []string{p.Name}
		for _, n := range o.clients {
			f, err := median(o, func() (load.Result, error) {
				return load.Run(p, load.Profile{Clients: n, Pace: o.pace()})
			})
			if err != nil {
				row = append(row, "failed")
				t.note("%s, N=%d: %v", p.Name, n, err)
				continue
			}
			row = append(row, fmt.Sprintf("%.3f (%.2f)", f.CPU.Seconds(), f.Rate/1e6))
			l.x, l.y = append(l.x, float64(n)), append(l.y, f.CPU.Seconds())
		}
		t.row(row...)
		lines = append(lines, l)
	}
	t.print()
	if len(lines) == 0 {
		return nil
	}
	return draw(o.plot, "Saturated fan-out, 100-byte messages", "WebSocket clients", "CPU seconds per million deliveries", lines)
}

// tlsPart measures saturated fan-out over TLS.
func tlsPart(o options) error {
	t := newTable("Saturated fan-out over TLS: CPU seconds per million deliveries (million deliveries/s)", "N=10", "N=100")
	for _, p := range fanoutPeers(o) {
		if !strings.HasPrefix(p.Name, "zwsbridge") && p.Name != "nats-server" || !o.peers.MatchString(p.Name) {
			continue
		}
		row := []string{p.Name}
		for _, n := range []int{10, 100} {
			f, err := median(o, func() (load.Result, error) {
				return load.Run(p, load.Profile{Clients: n, TLS: true, Pace: o.pace()})
			})
			if err != nil {
				row = append(row, "failed")
				t.note("%s, N=%d: %v", p.Name, n, err)
				continue
			}
			row = append(row, fmt.Sprintf("%.3f (%.2f)", f.CPU.Seconds(), f.Rate/1e6))
		}
		t.row(row...)
	}
	t.print()
	return nil
}

// pacedPart measures latency and cost at 100,000 deliveries a second.
func pacedPart(o options) error {
	t := newTable("100,000 deliveries/s: CPU seconds per million deliveries, p50, p99", "100 × 1,000/s", "1,000 × 100/s")
	peers := append(fanoutPeers(o), load.Bridge("zwsbridge, flush = 5ms", o.zwsbridge, "/flush"))
	for _, p := range peers {
		if !o.peers.MatchString(p.Name) {
			continue
		}
		row := []string{p.Name}
		for _, l := range []load.Profile{{Clients: 100, Rate: 1000}, {Clients: 1000, Rate: 100}} {
			l.Pace = o.pace()
			f, err := median(o, func() (load.Result, error) { return load.Run(p, l) })
			if err != nil {
				row = append(row, "failed")
				t.note("%s, N=%d: %v", p.Name, l.Clients, err)
				continue
			}
			row = append(row, fmt.Sprintf("%.2f  %v  %v", f.CPU.Seconds(), round(f.P50), round(f.P99)))
		}
		t.row(row...)
	}
	t.print()
	return nil
}

func (o options) pace() load.Pace { return load.Pace{Duration: o.duration} }

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// slowPart measures what clients that do not read cost the others.
func slowPart(o options) error {
	t := newTable("90 healthy clients, 1,000 messages/s: p50, p99 of the healthy", "alone", "beside 10 stalled")
	for _, p := range fanoutPeers(o)[:1] {
		row := []string{p.Name}
		for _, stalled := range []int{0, 10} {
			f, err := median(o, func() (load.Result, error) {
				return load.Run(p, load.Profile{Clients: 90, Rate: 1000, Stalled: stalled, Pace: o.pace()})
			})
			if err != nil {
				return err
			}
			row = append(row, fmt.Sprintf("%v  %v", round(f.P50), round(f.P99)))
		}
		t.row(row...)
	}
	t.print()
	return nil
}

// requestsPart measures round trips of DEALER to an echo.
func requestsPart(o options) error {
	t := newTable("Round trips/s of DEALER through the bridge (CPU seconds per million)", "1 client × 1", "1 client × 64", "64 clients × 1")
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
			f, err := median(o, func() (load.Result, error) {
				return load.RoundTrips(load.Requests{Start: p.start, Login: p.login, Clients: l.clients, InFlight: l.inFlight, Pace: o.pace()})
			})
			if err != nil {
				row = append(row, "failed")
				t.note("%s, %d × %d: %v", p.name, l.clients, l.inFlight, err)
				continue
			}
			row = append(row, fmt.Sprintf("%.0f (%.1f)", f.Rate, f.CPU.Seconds()))
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
	t := newTable(fmt.Sprintf("Resident kB for each of %d idle subscribed connections", o.idle), "ws", "wss")
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
			n, err := load.Idle(p, o.idle, secure, 5*time.Second)
			if err != nil {
				row = append(row, "failed")
				t.note("%s: %v", p.Name, err)
				continue
			}
			row = append(row, fmt.Sprintf("%.1f", float64(n)/1024))
		}
		t.row(row...)
	}
	t.print()
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
			var all []time.Duration
			for range o.repeat {
				each, err := load.Logins(p, 1000, secure)
				if err != nil {
					return err
				}
				all = append(all, each)
			}
			slices.Sort(all)
			row = append(row, fmt.Sprintf("%.0f", float64(all[len(all)/2].Nanoseconds())/1e3))
		}
		t.row(row...)
	}
	t.print()
	return nil
}
