package main

import (
	"fmt"
	"net"
	"slices"
	"time"
)

// median measures several times and takes the median by processor time. Servers and
// clients are started anew each time.
func median(o options, f func() (figures, error)) (figures, error) {
	var all []figures
	for range o.repeat {
		one, err := f()
		if err != nil {
			return figures{}, err
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b figures) int { return int(a.cpu - b.cpu) })
	return all[len(all)/2], nil
}

// fanoutPart is saturated fan-out to 1, 10, 100 and 1000 clients.
func fanoutPart(o options) error {
	var columns []string
	for _, n := range o.clients {
		columns = append(columns, fmt.Sprintf("N=%d", n))
	}
	t := newTable("Saturated fan-out: CPU seconds of the server per million deliveries (million deliveries/s)", columns...)
	var lines []line
	for _, p := range fanoutPeers() {
		if !o.peers.MatchString(p.name) {
			continue
		}
		l := line{name: p.name}
		row := []string{p.name}
		for _, n := range o.clients {
			f, err := median(o, func() (figures, error) { return run(p, load{clients: n, duration: o.duration}) })
			if err != nil {
				row = append(row, "failed")
				t.note("%s, N=%d: %v", p.name, n, err)
				continue
			}
			row = append(row, fmt.Sprintf("%.3f (%.2f)", f.cpu.Seconds(), f.rate/1e6))
			l.x, l.y = append(l.x, float64(n)), append(l.y, f.cpu.Seconds())
		}
		t.row(row...)
		lines = append(lines, l)
	}
	t.print()
	if len(lines) == 0 {
		return nil
	}
	return draw(o.plot, "Saturated fan-out, 100-octet messages", "WebSocket clients", "CPU seconds per million deliveries", lines)
}

// tlsPart is saturated fan-out over TLS.
func tlsPart(o options) error {
	t := newTable("Saturated fan-out over TLS: CPU seconds per million deliveries (million deliveries/s)", "N=10", "N=100")
	for _, p := range fanoutPeers() {
		if p.name != "zwsbridge" && p.name != "nats-server" {
			continue
		}
		row := []string{p.name}
		for _, n := range []int{10, 100} {
			f, err := median(o, func() (figures, error) { return run(p, load{clients: n, tls: true, duration: o.duration}) })
			if err != nil {
				row = append(row, "failed")
				t.note("%s, N=%d: %v", p.name, n, err)
				continue
			}
			row = append(row, fmt.Sprintf("%.3f (%.2f)", f.cpu.Seconds(), f.rate/1e6))
		}
		t.row(row...)
	}
	t.print()
	return nil
}

// pacedPart is 100,000 deliveries a second.
func pacedPart(o options) error {
	t := newTable("100,000 deliveries/s: CPU seconds per million deliveries, p50, p99", "100 × 1,000/s", "1,000 × 100/s")
	peers := append(fanoutPeers(), ours("zwsbridge, flush = 5ms", "/flush"))
	for _, p := range peers {
		if !o.peers.MatchString(p.name) {
			continue
		}
		row := []string{p.name}
		for _, l := range []load{{clients: 100, rate: 1000}, {clients: 1000, rate: 100}} {
			l.duration = o.duration
			f, err := median(o, func() (figures, error) { return run(p, l) })
			if err != nil {
				row = append(row, "failed")
				t.note("%s, N=%d: %v", p.name, l.clients, err)
				continue
			}
			row = append(row, fmt.Sprintf("%.2f  %v  %v", f.cpu.Seconds(), round(f.p50), round(f.p99)))
		}
		t.row(row...)
	}
	t.print()
	return nil
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

// slowPart shows what clients that do not read change for the others.
func slowPart(o options) error {
	t := newTable("90 healthy clients, 1,000 messages/s: p50, p99 of the healthy", "alone", "beside 10 stalled")
	for _, p := range fanoutPeers()[:1] {
		row := []string{p.name}
		for _, stalled := range []int{0, 10} {
			f, err := median(o, func() (figures, error) {
				return run(p, load{clients: 90, rate: 1000, stalled: stalled, duration: o.duration})
			})
			if err != nil {
				return err
			}
			row = append(row, fmt.Sprintf("%v  %v", round(f.p50), round(f.p99)))
		}
		t.row(row...)
	}
	t.print()
	return nil
}

// requestsPart is DEALER to an echo.
func requestsPart(o options) error {
	t := newTable("Round trips/s of DEALER through the bridge (CPU seconds per million)", "1 client × 1", "1 client × 64", "64 clients × 1")
	login := func(path string) func(*server) (*wsConn, error) {
		return func(srv *server) (*wsConn, error) { return plainLogin(srv, path, "DEALER") }
	}
	for _, p := range []struct {
		name  string
		start func(*server) error
		login func(*server) (*wsConn, error)
	}{
		{"zwsbridge, private upstreams", startOurs, login("/private")},
		{"zwsbridge, share = requests", startOurs, login("/shared")},
		{"libzmq proxy ROUTER ↔ DEALER", node("router"), func(srv *server) (*wsConn, error) { return nullLogin(srv, "DEALER") }},
	} {
		if !o.peers.MatchString(p.name) {
			continue
		}
		row := []string{p.name}
		for _, l := range []struct{ clients, flight int }{{1, 1}, {1, 64}, {64, 1}} {
			f, err := median(o, func() (figures, error) {
				return requests(p.start, p.login, l.clients, l.flight, o.duration)
			})
			if err != nil {
				row = append(row, "failed")
				t.note("%s, %d × %d: %v", p.name, l.clients, l.flight, err)
				continue
			}
			row = append(row, fmt.Sprintf("%.0f (%.1f)", f.rate, f.cpu.Seconds()))
		}
		t.row(row...)
	}
	t.print()
	return nil
}

// topicsPart is many clients that want 20 of many topics each, 5,000 messages a second.
func topicsPart(o options) error {
	t := newTable("20 topics for each client, 5,000 messages/s: µs of the server's CPU for a message", "1,000 clients", "10,000 clients")
	for _, topics := range []int{2000, 20000, 200000} {
		row := []string{fmt.Sprintf("%d topics", topics)}
		for _, clients := range []int{1000, 10000} {
			p := ours("", "")
			p.connect = func(srv *server, i int) (net.Conn, error) {
				var wanted []string
				for k := range 20 {
					wanted = append(wanted, topicName((i*20+k)%topics))
				}
				return plainSub(srv, "/sub", wanted...)
			}
			f, err := run(p, load{clients: clients, rate: 5000, topics: topics, duration: o.duration})
			if err != nil {
				return err
			}
			row = append(row, fmt.Sprintf("%.1f (%.0f deliveries/s)", float64(f.message.Nanoseconds())/1e3, f.rate))
		}
		t.row(row...)
	}
	t.print()
	return nil
}

// idlePart is the memory of clients to which nothing happens.
func idlePart(o options) error {
	t := newTable(fmt.Sprintf("Resident kB for each of %d idle subscribed connections", o.idle), "ws", "wss")
	for _, p := range fanoutPeers() {
		if !o.peers.MatchString(p.name) || p.name == "libzmq proxy" {
			continue
		}
		row := []string{p.name}
		for _, secure := range []bool{false, true} {
			if secure && p.name != "zwsbridge" && p.name != "nats-server" && p.name != "centrifuge" {
				row = append(row, "")
				continue
			}
			n, err := idle(p, o.idle, secure)
			if err != nil {
				row = append(row, "failed")
				t.note("%s: %v", p.name, err)
				continue
			}
			row = append(row, fmt.Sprintf("%.1f", float64(n)/1024))
		}
		t.row(row...)
	}
	t.print()
	return nil
}
