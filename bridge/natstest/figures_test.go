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

	"github.com/go-zeromq/zmq4"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestFigures prints, in make soak, how long messages take from a backend over the stream to a
// client of the other bridge, and how many of them get there.
func TestFigures(t *testing.T) {
	if os.Getenv("ZWSBRIDGE_SOAK") == "" {
		t.Skip("only in make soak")
	}
	n, p := startNATS(t), startPress(t)
	leader, follower := startTwo(t, n, p, "high_water_mark = 1000000\nhigh_water_bytes = \"512MiB\"\n")
	p.waitIngested(leader)
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
		p.publish("house/t", 1)
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
	}{{"10,000/s", 50_000, 10, time.Millisecond}, {"saturated", 500_000, 1000, 0}} {
		go func() {
			payload := make([]byte, 100)
			next := time.Now()
			for sent := 0; sent < f.count; sent += f.burst {
				for range f.burst {
					binary.BigEndian.PutUint64(payload, uint64(time.Now().UnixNano()))
					_ = p.socket.Send(zmq4.NewMsgFrom([]byte("house/t"), slices.Clone(payload)))
				}
				next = next.Add(f.every)
				time.Sleep(time.Until(next))
			}
			_ = p.socket.Send(zmq4.NewMsgFrom([]byte("house/t"), []byte("end")))
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
