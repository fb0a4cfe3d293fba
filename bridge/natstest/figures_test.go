package natstest

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestFigures prints, in make soak, how long messages take from a backend over the stream to a
// client of the other bridge, and how many of them get there.
func TestFigures(t *testing.T) {
	if os.Getenv("ZWSBRIDGE_SOAK") == "" {
		t.Skip("only in make soak")
	}
	n, g := startNATS(t), startGenerator(t)
	text := configuration(n, &press{endpoint: g.endpoint}, "high_water_mark = 1000000\nhigh_water_bytes = \"512MiB\"\n")
	text = "server.max_connection_bytes = \"512MiB\"\n" + text + "max_bytes = \"512MiB\"\n" // a slow client loses nothing
	leader := startBridge(t, text)
	eventually(t, "a bridge leads", leader.leads)
	follower := startBridge(t, text)
	eventually(t, "the other knows it", func() bool { return follower.history().Leader == leader.history().Leader })
	lost := uint64(0)
	c, err := zws.Dial(t.Context(), "ws://"+follower.client+"/d", zws.DialOptions{Security: zmtp.Null{}, SocketType: zmtp.SUB,
		Notify: func(n zws.Notification) { lost += n.Lost }})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Subscribe(t.Context(), []byte("house/t")); err != nil {
		t.Fatal(err)
	}
	subscribed := make(chan struct{})
	go func() {
		defer close(subscribed)
		if _, err := c.Recv(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	eventually(t, "the client gets messages", func() bool {
		g.write("house/t", []byte("0"))
		select {
		case <-subscribed:
			return true
		default:
			return false
		}
	})
	for _, f := range []struct {
		name         string
		count, burst int
		every        time.Duration
	}{{"10,000/s", 50_000, 10, time.Millisecond}, {"saturated", 1_000_000, 64, 0}} {
		go func() {
			payloads := make([][]byte, f.burst)
			for i := range payloads {
				payloads[i] = make([]byte, 100)
			}
			next := time.Now()
			for sent := 0; sent < f.count; sent += f.burst {
				for _, p := range payloads {
					binary.BigEndian.PutUint64(p, uint64(time.Now().UnixNano()))
				}
				g.write("house/t", payloads...)
				next = next.Add(f.every)
				time.Sleep(time.Until(next))
			}
			g.write("house/t", []byte("end"))
		}()
		began, spent := time.Now(), cpu(leader.process, follower.process, n.process)
		var waits []time.Duration
		for {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			m, err := c.Recv(ctx)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if string(m[1]) == "end" {
				break
			}
			if len(m[1]) < 8 {
				continue // of the beginning
			}
			waits = append(waits, time.Since(time.Unix(0, int64(binary.BigEndian.Uint64(m[1])))))
		}
		rate := float64(len(waits)) / time.Since(began).Seconds()
		now := cpu(leader.process, follower.process, n.process)
		t.Logf("%s: CPU of leader, other bridge and NATS: %v, %v, %v", f.name, now[0]-spent[0], now[1]-spent[1], now[2]-spent[2])
		slices.Sort(waits)
		t.Logf("%s: %d of %d messages, %.0f/s, p50 %v, p99 %v, max %v, lost %d", f.name, len(waits), f.count, rate,
			waits[len(waits)/2], waits[len(waits)*99/100], waits[len(waits)-1], lost)
	}
}

// cpu returns the processor time that processes have used.
func cpu(processes ...*process) (list []time.Duration) {
	const tick = 10 * time.Millisecond
	for _, p := range processes {
		var user, system int
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if fields := strings.Fields(string(text)); err == nil && len(fields) > 14 {
			user, _ = strconv.Atoi(fields[13])
			system, _ = strconv.Atoi(fields[14])
		}
		list = append(list, time.Duration(user+system)*tick)
	}
	return list
}
