package main

import (
	"fmt"
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
		"99 % have data after", "all", "attempts", "refused for good", "peak RSS (before)", "server CPU", "p99 of 100 others (before)")
	for _, way := range []struct {
		name             string
		secure, graceful bool
	}{
		{"kill -9, ws", false, false},
		{"kill -9, wss", true, false},
		{"SIGTERM, ws", false, true},
		{"SIGTERM, wss", true, true},
	} {
		if !o.peers.MatchString(way.name) {
			continue
		}
		var all []load.Comeback
		for range o.repeat {
			one, err := load.Return{
				Program: o.zwsbridge, Clients: o.returning, TLS: way.secure, Graceful: way.graceful, Generator: reconnecting,
			}.Run()
			if err != nil {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			all = append(all, one)
		}
		slices.SortFunc(all, func(a, b load.Comeback) int { return int(a.All - b.All) })
		m := all[len(all)/2]
		t.row(way.name, seconds(m.Most), fmt.Sprintf("%s (%s-%s)", seconds(m.All), seconds(all[0].All), seconds(all[len(all)-1].All)),
			fmt.Sprint(m.Attempts), fmt.Sprint(m.Refused+m.Missing), fmt.Sprintf("%d MiB (%d)", m.Peak>>20, m.Before>>20), seconds(m.CPU),
			fmt.Sprintf("%v (%v)", round(m.Beside), round(m.Alone)))
		for text, n := range m.Failures {
			t.note("%s: %d × %s", way.name, n, text)
		}
	}
	t.print()
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
