package zws_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws"
)

// TestMuxFlushAll: messages for many channels of a connection are announced and flushed by several
// goroutines, while others wake the channels and the client gives credit. Each channel gets everything in
// order.
func TestMuxFlushAll(t *testing.T) {
	const channels, messages, flushers = 8, 500, 2
	accepted := make(chan *zws.Channel, channels)
	s := serveMuxWith(t, muxOptions(), func(p *zws.PendingChannel) {
		c, err := p.Accept(zws.AcceptOptions{})
		if err != nil {
			return
		}
		accepted <- c
		<-c.Context().Done()
		c.Close(nil)
	})
	m := dialMux(t, s)
	var clients []*zws.MuxChannel
	var servers []*zws.Channel
	var sources []*stepwise
	for range channels {
		clients = append(clients, open(t, m, zws.ChannelOptions{Route: "/echo", Window: 5000}))
		servers, sources = append(servers, <-accepted), append(sources, new(stepwise))
		servers[len(servers)-1].Attach(sources[len(sources)-1])
	}
	var writing sync.WaitGroup
	for range flushers {
		writing.Go(func() {
			for i := range messages / flushers {
				for k, c := range servers {
					sources[k].add(i % 2000)
					c.Announce()
				}
				for _, c := range servers {
					c.Flush()
				}
			}
		})
	}
	writing.Go(func() {
		for range messages {
			for _, c := range servers {
				c.Lost(1)
			}
		}
	})
	var reading sync.WaitGroup
	for k, c := range clients {
		reading.Go(func() {
			for i := range messages {
				m, err := c.Recv(t.Context())
				if err != nil {
					t.Errorf("channel %d, message %d: %v", k, i, err)
					return
				}
				if want := numbered(i, 0); !bytes.Equal(m[0], want[0]) || slices.ContainsFunc(m[1], func(b byte) bool { return b != byte(i) }) {
					t.Errorf("channel %d: message %d is %x", k, i, m[0])
					return
				}
			}
		})
	}
	reading.Wait()
	writing.Wait()
}
