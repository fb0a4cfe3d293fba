package zws_test

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// servedMux counts the channels that ServeChannels and Serve serve.
type servedMux struct {
	conn  *zws.Conn
	open  sync.WaitGroup
	ended chan struct{}
}

// serveMuxes starts a server whose connections and channels are served without goroutines. The
// channels echo.
func serveMuxes(t *testing.T, o zws.Options) (*server, chan *servedMux) {
	all := make(chan *servedMux, 10)
	return serveWith(t, o, plain, accept, func(conn *zws.Conn) {
		v := &servedMux{conn: conn, ended: make(chan struct{})}
		conn.ServeChannels(func(p *zws.PendingChannel) {
			v.open.Add(1)
			go func() {
				c, err := p.Accept(zws.AcceptOptions{})
				if err != nil {
					v.open.Done()
					return
				}
				q := &queue{channel: c}
				c.Attach(q)
				c.Serve(func(m zmtp.Message) error {
					if string(m[0]) == "fail" {
						return &zws.CloseError{Code: 4403, Reason: "you asked for it"}
					}
					q.put(m)
					return nil
				}, func() {
					c.Close(nil)
					v.open.Done()
				})
			}()
		}, func() { close(v.ended) })
		all <- v
		<-v.ended
		conn.Wait()
	}), all
}

// muxParked waits until nobody reads connections and channels. Only the stacks show that from
// outside.
func muxParked(t *testing.T) {
	t.Helper()
	buffer := make([]byte, 1<<20)
	for range 10_000 {
		stacks := string(buffer[:runtime.Stack(buffer, true)])
		if !strings.Contains(stacks, "zws.(*Conn).serveChannels(") && !strings.Contains(stacks, "zws.(*muxChannel).work(") {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("a reader stays")
}

// TestServeChannels: an idle connection and its channels have no reader, messages of all channels
// are handled in order, and each channel ends once: by the client, by its handler and with the
// connection.
func TestServeChannels(t *testing.T) {
	o := muxOptions()
	o.Poller = newPoller(t)
	s, all := serveMuxes(t, o)
	m := dialMux(t, s)
	v := <-all
	var channels []*zws.MuxChannel
	for range 20 {
		channels = append(channels, open(t, m, zws.ChannelOptions{}))
	}
	for range 2 {
		muxParked(t)
		var echoes sync.WaitGroup
		for _, c := range channels {
			echoes.Go(func() {
				for i := range 50 {
					if err := c.Send(t.Context(), numbered(i, i*i*10)); err != nil {
						t.Error(err)
						return
					}
				}
				for i := range 50 {
					got, err := c.Recv(t.Context())
					want := numbered(i, i*i*10)
					if err != nil || len(got) != 2 || string(got[0]) != string(want[0]) || len(got[1]) != len(want[1]) {
						t.Errorf("message %d: %d frames of %d bytes, %v", i, len(got), got.Size(), err)
						return
					}
				}
			})
		}
		echoes.Wait()
	}
	channels[0].Close()
	if err := channels[1].Send(t.Context(), message("fail")); err != nil {
		t.Fatal(err)
	}
	if _, err := channels[1].Recv(t.Context()); zws.Cause(err).Code != 4403 {
		t.Errorf("the channel whose handler has failed ended with %v", err)
	}
	muxParked(t)
	v.conn.Close(nil)
	v.open.Wait()
	<-v.ended
}

// TestServeChannelsReopen: a channel that the client has closed gives its place back.
func TestServeChannelsReopen(t *testing.T) {
	o := muxOptions()
	o.Poller = newPoller(t)
	o.MaxChannels = 2
	s, all := serveMuxes(t, o)
	m := dialMux(t, s)
	v := <-all
	for range 3 * o.MaxChannels {
		c := open(t, m, zws.ChannelOptions{})
		roundTrip(t, c, "here")
		c.Close()
		v.open.Wait()
	}
}
