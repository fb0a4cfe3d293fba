package main

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/bench/load"
)

// returnLimit is how long clients that lost the bridge have to come back.
const returnLimit = 3 * time.Minute

// reconnecting returns the command that runs the clients of [load.Return].
func reconnecting(address string, secure bool, clients int) *exec.Cmd {
	return exec.Command(program, "-serve", "clients", "-address", address, fmt.Sprintf("-tls=%v", secure), fmt.Sprintf("-return=%d", clients))
}

// returnPart measures how clients come back that have lost the bridge.
func returnPart(o options) error {
	t := newTable(fmt.Sprintf("%d clients lose the bridge and come back by the back-off of zws.js", o.returning),
		"99 % have data after s", "all after s", "attempts", "never back", "peak MiB", "MiB before", "server CPU s", "others' p99 ms", "before")
	for _, way := range []struct {
		name             string
		secure, graceful bool
	}{
		{"kill -9, ws", false, false},
		{"kill -9, wss", true, false},
		{"SIGTERM, ws", false, true},
	} {
		if !o.peers.MatchString(way.name) {
			continue
		}
		all, err := repeated(o, func() (load.Comeback, error) {
			return load.Return{
				Program: o.zwsbridge, Clients: o.returning, TLS: way.secure, Graceful: way.graceful, Generator: reconnecting,
			}.Run()
		})
		if err != nil {
			t.row(way.name, "failed")
			t.note("%s: %v", way.name, err)
			continue
		}
		t.row(way.name,
			figureOf("%.2f", all, func(c load.Comeback) float64 { return c.Most.Seconds() }),
			figureOf("%.2f", all, func(c load.Comeback) float64 { return c.All.Seconds() }),
			figureOf("%.0f", all, func(c load.Comeback) float64 { return float64(c.Attempts) }),
			figureOf("%.0f", all, func(c load.Comeback) float64 { return float64(c.Missing) }),
			figureOf("%.0f", all, func(c load.Comeback) float64 { return float64(c.Peak >> 20) }),
			figureOf("%.0f", all, func(c load.Comeback) float64 { return float64(c.Before >> 20) }),
			figureOf("%.2f", all, func(c load.Comeback) float64 { return c.CPU.Seconds() }),
			figureOf("%.1f", all, func(c load.Comeback) float64 { return float64(c.Beside) / 1e6 }),
			figureOf("%.1f", all, func(c load.Comeback) float64 { return float64(c.Alone) / 1e6 }))
		for _, text := range slices.Sorted(maps.Keys(all[0].Failures)) {
			t.note("%s, first run: %d × %s", way.name, all[0].Failures[text], text)
		}
	}
	t.print()
	return nil
}
