// Command go-house is a house in pure Go: go-zeromq/zmq4 sockets that speak CURVE and let
// in the bridge's key and no other.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
	"github.com/zwsbridge/zwsbridge/zws/zmtp/zmq4transport"
)

func main() {
	readings := flag.String("readings", "127.0.0.1:5556", "`address` of the PUB")
	commands := flag.String("commands", "127.0.0.1:5557", "`address` of the REP")
	own := flag.String("cert", "certs/house", "our key pair: the `name` of a zcert")
	bridge := flag.String("bridge", "certs/bridge", "the bridge's public key: the `name` of a zcert")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := register(*own, *bridge); err != nil {
		log.Fatal(err)
	}
	if err := run(ctx, "house://"+*readings, "house://"+*commands); err != nil {
		log.Fatal(err)
	}
}

// register makes "house" a transport of zmq4: CURVE, with our key, for the bridge.
func register(own, bridge string) error {
	cert, err := certs.ReadSecret(own)
	if err != nil {
		return err
	}
	allowed, err := certs.ReadPublic(bridge)
	if err != nil {
		return err
	}
	handler := func(_ context.Context, req *zap.Request) (*zap.Reply, error) {
		if req.Mechanism == zap.CURVE && bytes.Equal(req.Credentials[0], allowed.Public[:]) {
			return &zap.Reply{Status: zap.OK, UserID: "bridge"}, nil
		}
		return &zap.Reply{Status: zap.Refused, Text: "not the bridge's key"}, nil
	}
	return zmq4transport.Register("house", zmq4transport.Options{
		Mechanism: zap.CURVE,
		Server: zmtp.ServerSecurity{
			Handler:     zap.HandlerFunc(handler),
			Domain:      "house",
			CurvePublic: cert.Public,
			CurveSecret: cert.Secret,
		},
	})
}

// run publishes a temperature every second and obeys commands until ctx is done.
func run(ctx context.Context, readings, commands string) error {
	pub, rep := zmq4.NewPub(ctx), zmq4.NewRep(ctx)
	defer pub.Close()
	defer rep.Close()
	if err := errors.Join(pub.Listen(readings), rep.Listen(commands)); err != nil {
		return err
	}
	fmt.Println("a house that publishes at", pub.Addr(), "and obeys at", rep.Addr())
	go obey(ctx, rep)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for second := 0; ; second++ {
		value := fmt.Sprintf("%.1f", 20+float64(second%20)/10)
		if err := pub.Send(zmq4.NewMsgFrom([]byte("house/alice/temperature"), []byte(value))); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// obey answers the command light, on or off.
func obey(ctx context.Context, rep zmq4.Socket) {
	for {
		m, err := rep.Recv()
		if errors.Is(err, io.EOF) && ctx.Err() == nil {
			continue // a peer has gone
		}
		if err != nil {
			return
		}
		answer := "error: want the frames light, and on or off"
		if len(m.Frames) == 2 && string(m.Frames[0]) == "light" {
			answer = "ok: the light is " + string(m.Frames[1])
		}
		_ = rep.Send(zmq4.NewMsgString(answer)) // who asked may have gone
	}
}
