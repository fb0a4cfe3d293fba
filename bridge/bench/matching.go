package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/bench/load"
	"github.com/zwsbridge/zwsbridge/bridge/internal/fanout"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// discard is the queue of a client that accepts every message at once.
type discard struct{ fanout.Queue } // without a log the hub calls nothing else

func (discard) PutRange(*queue.Chunk, int, int) error { return nil }

func (discard) AddRange(*queue.Chunk, int, int) (write bool, err error) { return false, nil }

// matching returns the processor time that the hub takes to match and encode one message and
// to put it into the queues, where each client subscribes to 20 of the topics. No network is
// involved.
func matching(topics, clients int, d time.Duration) time.Duration {
	names := make([][]byte, topics)
	for i := range names {
		names[i] = []byte(load.TopicName(i))
	}
	h := fanout.New(fanout.Options{})
	for i := range clients {
		m := h.Join(discard{}, fanout.MemberOptions{})
		for k := range 20 {
			if err := m.Subscribe(names[(i*20+k)%topics], false); err != nil {
				panic(err)
			}
		}
	}
	rand.Shuffle(topics, func(i, k int) { names[i], names[k] = names[k], names[i] })
	message := zmtp.Message{nil, make([]byte, load.MessageSize)}
	n := 0
	cpu := load.ProcessorTime()
	for start := time.Now(); time.Since(start) < d; {
		for range 5000 {
			message[0] = names[n%topics]
			h.Message(message)
			if n++; n%5 == 0 {
				h.Flush()
			}
		}
	}
	return (load.ProcessorTime() - cpu) / time.Duration(n)
}

// matchingPart measures how matching grows with topics and clients.
func matchingPart(o options) error {
	counts := []int{2000, 20000, 200000}
	t := newTable("20 topics for each client: ns of CPU in the hub for a message (its deliveries)", "2,000 topics", "20,000 topics", "200,000 topics")
	var lines []line
	for _, clients := range []int{100, 1000, 10000} {
		l := line{name: fmt.Sprintf("%d clients", clients)}
		row := []string{l.name}
		for _, topics := range counts {
			took := matching(topics, clients, o.duration)
			row = append(row, fmt.Sprintf("%d (%.2f)", took.Nanoseconds(), float64(clients)*20/float64(topics)))
			l.x, l.y = append(l.x, float64(topics)), append(l.y, float64(took.Nanoseconds()))
		}
		t.row(row...)
		lines = append(lines, l)
	}
	t.print()
	return draw(beside(o.plot, "matching"), "Matching in the hub, 20 topics for each client", "topics", "ns for a message", lines)
}

// beside returns the file name for a further plot.
func beside(file, what string) string {
	ext := filepath.Ext(file)
	return strings.TrimSuffix(file, ext) + "-" + what + ext
}
