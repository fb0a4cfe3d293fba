package natstest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
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
	var raw net.Conn
	c, err := zws.Dial(t.Context(), "ws://"+follower.client+"/d", zws.DialOptions{Security: zmtp.Null{}, SocketType: zmtp.SUB,
		NetDial: func(ctx context.Context, network, address string) (_ net.Conn, err error) {
			raw, err = new(net.Dialer).DialContext(ctx, network, address)
			return raw, err
		}})
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
	self := &process{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	for _, f := range []struct {
		name         string
		count, burst int
		every        time.Duration
	}{{"10,000/s", 50_000, 10, time.Millisecond}, {"saturated", 1_000_000, 64, 0}} {
		began, spent := time.Now(), cpu(leader.process, follower.process, n.process, self)
		go func() {
			payloads := make([][]byte, f.burst)
			for i := range payloads {
				payloads[i] = append(append([]byte(nil), stampMark...), make([]byte, 100-len(stampMark))...)
			}
			next := time.Now()
			for sent := 0; sent < f.count; sent += f.burst {
				for _, p := range payloads {
					binary.BigEndian.PutUint64(p[len(stampMark):], uint64(time.Now().UnixNano()))
				}
				g.write("house/t", payloads...)
				next = next.Add(f.every)
				time.Sleep(time.Until(next))
			}
		}()
		waits, err := stamps(raw, f.count)
		if err != nil {
			t.Fatalf("%s: %v after %d of %d messages", f.name, err, len(waits), f.count)
		}
		rate := float64(len(waits)) / time.Since(began).Seconds()
		now := cpu(leader.process, follower.process, n.process, self)
		t.Logf("%s: CPU of leader, other bridge, NATS, and of generator and client: %v, %v, %v, %v", f.name,
			now[0]-spent[0], now[1]-spent[1], now[2]-spent[2], now[3]-spent[3])
		slices.Sort(waits)
		t.Logf("%s: %d messages, %.0f/s, p50 %v, p99 %v, max %v", f.name, len(waits), rate,
			waits[len(waits)/2], waits[len(waits)*99/100], waits[len(waits)-1])
	}
}

// stampMark precedes the time in a payload, in nanoseconds.
var stampMark = []byte("@time of publication@")

// stamps reads what a bridge writes to a client, as it comes, and returns how long ago each of that many
// messages was published: a client that parsed them would take more time than the bridges.
func stamps(c net.Conn, messages int) (waits []time.Duration, err error) {
	waits = make([]time.Duration, 0, messages)
	buffer, rest := make([]byte, 256<<10), 0
	for len(waits) < messages {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return waits, err
		}
		n, err := c.Read(buffer[rest:])
		if err != nil {
			return waits, err
		}
		now, p := time.Now(), buffer[:rest+n]
		for {
			i := bytes.Index(p, stampMark)
			if i < 0 || len(p)-i < len(stampMark)+8 {
				start := i
				if i < 0 { // the last of it can be the beginning of a mark
					start = max(0, len(p)-len(stampMark)+1)
				}
				rest = copy(buffer, p[start:])
				break
			}
			p = p[i+len(stampMark):]
			waits = append(waits, now.Sub(time.Unix(0, int64(binary.BigEndian.Uint64(p)))))
			p = p[8:]
		}
	}
	return waits, nil
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
