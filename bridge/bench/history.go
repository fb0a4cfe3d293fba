package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/bench/load"
)

// spread is a set of measurements of one figure.
type spread []float64

// String returns the median, and in brackets the smallest and the largest value.
func (s spread) String() string {
	sorted := slices.Sorted(slices.Values(s))
	if len(sorted) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", sorted[len(sorted)/2], sorted[0], sorted[len(sorted)-1])
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// keptBench makes the route keep the messages of the fan-out.
const keptBench = "topics = [\"bench\"]\n"

// historyCostPart measures what a history costs those that do not use it, and what positions
// cost. Each round measures all variants, so that what else runs on the machine meets all alike.
func historyCostPart(o options) error {
	const clients = 100
	variant := func(store string) *load.Peer {
		p := load.Bridge("", o.zwsbridge, "/sub")
		p.Start = load.StartBridgeWithHistory(o.zwsbridge, load.Kept{Store: store, Lines: keptBench})
		return p
	}
	memory := variant("memory")
	positions := *memory
	positions.Connect = load.BridgeSubWithPositions
	peers := []*load.Peer{load.Bridge("", o.zwsbridge, "/sub"), memory, variant("file"), &positions}
	names := []string{"no history", `in memory`, `store = "file", sync = "1s"`, "in memory, clients with positions"}
	var message, more, delivery, ratio [4]spread
	for range o.repeat {
		var round [4]load.Result
		for i, p := range peers {
			var err error
			if round[i], err = load.Run(p, load.Profile{Clients: clients, Pace: o.pace()}); err != nil {
				return fmt.Errorf("%s: %w", names[i], err)
			}
		}
		for i, r := range round {
			base := round[0]
			if i == 3 {
				base = round[1] // the same history
			}
			message[i] = append(message[i], r.CPU.Seconds()*clients)
			more[i] = append(more[i], (r.CPU-base.CPU).Seconds()*clients)
			delivery[i] = append(delivery[i], r.CPU.Seconds())
			ratio[i] = append(ratio[i], float64(r.CPU)/float64(base.CPU))
		}
	}
	t := newTable(fmt.Sprintf("History, saturated fan-out to %d clients: CPU of the server", clients),
		"µs per upstream message", "µs more", "µs per delivery", "times as much", "compared with")
	for i, name := range names {
		base := ""
		switch i {
		case 1, 2:
			base = names[0]
		case 3:
			base = names[1]
		}
		if base == "" {
			t.row(name, message[i].String(), "", delivery[i].String())
			continue
		}
		t.row(name, message[i].String(), more[i].String(), delivery[i].String(), ratio[i].String(), base)
	}
	t.print()
	return nil
}

// keptMany makes the route keep the messages of many topics.
const keptMany = "topics = [\"house/\"]\nmax_bytes = \"1GiB\"\nmax_age = \"1h\"\nmax_last_values = 200000\n"

func (o options) historian() *load.Historian {
	return load.BridgeHistorian("zwsbridge", o.zwsbridge, load.Kept{Store: "memory", Lines: keptMany})
}

// historyLastPart measures the last values of many topics to one client.
func historyLastPart(o options) error {
	l := load.LastValues{Topics: 100_000, Rate: 1000}
	var rate, longest, without spread
	for range o.repeat {
		with, alone, err := l.Run(o.historian())
		if err != nil {
			return err
		}
		rate = append(rate, float64(l.Topics)/with.CPU.Seconds()/1e6)
		longest, without = append(longest, millis(with.Max)), append(without, millis(alone))
	}
	t := newTable(fmt.Sprintf("History, last values of %d topics to one client", l.Topics),
		"million messages per CPU second", "longest wait of another client, ms", "the same without last values, ms")
	t.row("zwsbridge", rate.String(), longest.String(), without.String())
	t.print()
	return nil
}

// historyResumePart measures a resume that gets few of many messages.
func historyResumePart(o options) error {
	l := load.OneTopic{Kept: 1_000_000, Each: 5, Clients: 200}
	took, err := l.Run(o.historian(), o.repeat)
	if err != nil {
		return err
	}
	var resume, ping, more spread
	for _, t := range took {
		resume, ping = append(resume, micros(t.Resume)), append(ping, micros(t.Ping))
		more = append(more, micros(t.Resume-t.Ping))
	}
	t := newTable(fmt.Sprintf("History, resume of the %d messages of one topic out of %d, without login: CPU of the server", l.Each, l.Kept),
		"µs per resume", "µs per ping", "µs more")
	t.row("zwsbridge", resume.String(), ping.String(), more.String())
	t.print()
	return nil
}

// historyStormPart measures clients that all ask for what they have missed at the same time.
func historyStormPart(o options) error {
	l := load.Storm{Clients: 1000, Messages: 1000, Others: 10, Rate: 100}
	t := newTable(fmt.Sprintf("History, %d clients ask at once for %d missed messages each; %d others get %d live messages/s", l.Clients, l.Messages, l.Others, l.Rate),
		"CPU of the server, s", "times zwsbridge's", "p99 of the others, ms", "time until all have them, s", "CPU of the load, s", "load late by at most, ms")
	peers := historians(o)
	failed := make([]error, len(peers))
	figures := make([]struct{ cpu, times, p99, elapsed, generator, late spread }, len(peers))
	for range o.repeat {
		var base time.Duration // of zwsbridge in this round
		for i, h := range peers {
			if failed[i] != nil || !o.peers.MatchString(h.Name) {
				continue
			}
			r, err := l.Run(h)
			if err != nil {
				failed[i] = err
				continue
			}
			if i == 0 {
				base = r.CPU
			}
			f := &figures[i]
			if base > 0 {
				f.times = append(f.times, float64(r.CPU)/float64(base))
			}
			f.cpu, f.p99 = append(f.cpu, r.CPU.Seconds()), append(f.p99, millis(r.P99))
			f.elapsed, f.generator = append(f.elapsed, r.Elapsed.Seconds()), append(f.generator, r.Generator.Seconds())
			f.late = append(f.late, millis(r.Late))
		}
	}
	for i, h := range peers {
		if failed[i] != nil {
			t.note("%s: %v", h.Name, failed[i])
		}
		if o.peers.MatchString(h.Name) {
			f := figures[i]
			t.row(h.Name, f.cpu.String(), f.times.String(), f.p99.String(), f.elapsed.String(), f.generator.String(), f.late.String())
		}
	}
	t.print()
	return nil
}
