package main

import (
	"fmt"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/bench/load"
)

// measurement is measured on each side in turn.
type measurement struct {
	name    string
	figures []figure
	// bridge measures a binary of zwsbridge; libzmq measures libzmq's proxy, or is nil. Both
	// return as many values as there are figures.
	bridge func(binary string) ([]float64, error)
	libzmq func() ([]float64, error)
}

// figure is one value that a measurement gives.
type figure struct {
	unit       string
	format     string // of a value, for fmt
	moreIsGood bool
}

var (
	fanoutFigures = []figure{
		{unit: "CPU s per million deliveries", format: "%.3f"},
		{unit: "million deliveries/s", format: "%.2f", moreIsGood: true},
	}
	pacedFigures = []figure{
		{unit: "CPU µs per delivery", format: "%.2f"},
		{unit: "p50 ms", format: "%.2f"},
		{unit: "p99 ms", format: "%.2f"},
	}
	requestFigures = []figure{
		{unit: "CPU s per million round trips", format: "%.1f"},
		{unit: "round trips/s", format: "%.0f", moreIsGood: true},
	}
	idleFigures = []figure{{unit: "KiB resident per client", format: "%.2f"}}
)

func measurements(o options) []measurement {
	var all []measurement
	for _, clients := range []int{1, 10, 100, 1000} {
		all = append(all, fanout(clients, o.pace()))
	}
	all = append(all,
		paced("paced, 100 clients × 1,000/s", "/sub", 100, 1000, o.pace()),
		paced("paced, 1,000 clients × 100/s", "/sub", 1000, 100, o.pace()),
		paced("paced, 100 × 1,000/s, flush = 5ms", "/flush", 100, 1000, o.pace()),
	)
	for _, r := range []struct {
		name              string
		clients, inFlight int
	}{
		{"DEALER, 1 client, serial", 1, 1},
		{"DEALER, 1 client × 64 in flight", 1, 64},
		{"DEALER, 64 clients × 1 in flight", 64, 1},
	} {
		all = append(all, requests(r.name, r.clients, r.inFlight, o.pace()))
	}
	return append(all, measurement{
		name:    fmt.Sprintf("idle, %d clients", o.idle),
		figures: idleFigures,
		bridge: func(binary string) ([]float64, error) {
			bytes, err := load.Idle(load.Bridge("", binary, "/sub"), o.idle, false, time.Second)
			return []float64{float64(bytes) / 1024}, err
		},
	})
}

// pace is shorter than that of the full benchmark; the number of rounds makes up for it.
func (o options) pace() load.Pace {
	return load.Pace{Duration: o.duration, WarmUp: 300 * time.Millisecond, Settle: 100 * time.Millisecond}
}

func fanout(clients int, pace load.Pace) measurement {
	on := func(p *load.Peer) ([]float64, error) {
		r, err := load.Run(p, load.Profile{Clients: clients, Pace: pace})
		return []float64{r.CPU.Seconds(), r.Rate / 1e6}, err
	}
	return measurement{
		name:    fmt.Sprintf("fan-out, N=%d", clients),
		figures: fanoutFigures,
		bridge:  func(binary string) ([]float64, error) { return on(load.Bridge("", binary, "/sub")) },
		libzmq:  func() ([]float64, error) { return on(load.LibzmqProxy("")) },
	}
}

// paced measures clients that get rate messages per second each.
func paced(name, path string, clients, rate int, pace load.Pace) measurement {
	on := func(p *load.Peer) ([]float64, error) {
		r, err := load.Run(p, load.Profile{Clients: clients, Rate: rate, Pace: pace})
		ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
		return []float64{r.CPU.Seconds(), ms(r.P50), ms(r.P99)}, err
	}
	return measurement{
		name:    name,
		figures: pacedFigures,
		bridge:  func(binary string) ([]float64, error) { return on(load.Bridge("", binary, path)) },
		libzmq:  func() ([]float64, error) { return on(load.LibzmqProxy("")) },
	}
}

func requests(name string, clients, inFlight int, pace load.Pace) measurement {
	on := func(start func(*load.Server) error, login func(*load.Server) (*load.Conn, error)) ([]float64, error) {
		r, err := load.RoundTrips(load.Requests{Start: start, Login: login, Clients: clients, InFlight: inFlight, Pace: pace})
		return []float64{r.CPU.Seconds(), r.Rate}, err
	}
	return measurement{
		name:    name,
		figures: requestFigures,
		bridge: func(binary string) ([]float64, error) {
			return on(load.StartBridge(binary), load.BridgeDealer("/private"))
		},
		libzmq: func() ([]float64, error) { return on(load.StartLibzmq("router"), load.LibzmqDealer) },
	}
}

// alternate measures both binaries and libzmq's proxy in turn. The order of the two binaries
// changes from round to round, so that neither always runs first.
func (m measurement) alternate(newer, older string, o options, r *report) error {
	var sides [3][][]float64 // by round: new, old, libzmq
	for round := range o.rounds {
		order := []int{0, 1}
		if round%2 == 1 {
			order = []int{1, 0}
		}
		for _, side := range order {
			values, err := m.bridge([]string{newer, older}[side])
			if err != nil {
				return fmt.Errorf("%s: %w", []string{"new", "old"}[side], err)
			}
			sides[side] = append(sides[side], values)
		}
		if m.libzmq == nil {
			continue
		}
		values, err := m.libzmq()
		if err != nil {
			return fmt.Errorf("libzmq's proxy: %w", err)
		}
		sides[2] = append(sides[2], values)
	}
	for i, f := range m.figures {
		r.add(m.name, f, column(sides[0], i), column(sides[1], i), column(sides[2], i))
	}
	return nil
}

// column returns value i of every round.
func column(rounds [][]float64, i int) []float64 {
	var values []float64
	for _, v := range rounds {
		values = append(values, v[i])
	}
	return values
}
