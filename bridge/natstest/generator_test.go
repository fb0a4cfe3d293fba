package natstest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// generator is a PUB with one peer that writes many messages at a time, as libzmq does under load.
type generator struct {
	t        *testing.T
	endpoint string
	peers    chan *zmtp.Conn
	peer     *zmtp.Conn // the newest of peers
}

func startGenerator(t *testing.T) *generator {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &generator{t: t, endpoint: "tcp://" + l.Addr().String(), peers: make(chan *zmtp.Conn, 1)}
	all := zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
		return &zap.Reply{Status: zap.OK}, nil
	})
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			c, err := zmtp.Server(context.Background(), nc, zap.NULL, zmtp.ServerSecurity{Handler: all, Domain: "test"},
				zmtp.Options{SocketType: zmtp.PUB, WriteTimeout: time.Minute})
			if err != nil {
				continue
			}
			t.Cleanup(func() { c.Close() })
			go func() { // what it subscribes to
				for err == nil {
					_, err = c.ReadFrame()
				}
			}()
			g.peers <- c
		}
	}()
	return g
}

// write sends messages of topic with these payloads, in one go.
func (g *generator) write(topic string, payloads ...[]byte) {
	if g.peer == nil {
		g.peer = <-g.peers
	}
	list := make([]zmtp.Message, len(payloads))
	for i, p := range payloads {
		list[i] = zmtp.Message{[]byte(topic), p}
	}
	if err := g.peer.Write(list...); err != nil {
		g.t.Error(err)
	}
}
