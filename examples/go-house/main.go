// Command go-house simulates a house in pure Go: go-zeromq/zmq4 sockets with CURVE that
// accept only the bridge's key.
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
	cert := flag.String("cert", "certs/house", "key pair of the house: the `name` of a zcert")
	bridge := flag.String("bridge", "certs/bridge", "public key of the bridge: the `name` of a zcert")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := register(*cert, *bridge); err != nil {
		log.Fatal(err)
	}
	if err := run(ctx, "house://"+*readings, "house://"+*commands); err != nil {
		log.Fatal(err)
	}
}

// register adds the transport "house" to zmq4: TCP with CURVE, the key pair called cert, and
// access for the key called bridge only.
func register(cert, bridge string) error {
	pair, err := certs.ReadSecret(cert)
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
			CurvePublic: pair.Public,
			CurveSecret: pair.Secret,
		},
	})
}

// run publishes a temperature every second and answers commands until ctx is done.
func run(ctx context.Context, readings, commands string) error {
	pub, rep := zmq4.NewPub(ctx), zmq4.NewRep(ctx)
	defer pub.Close()
	defer rep.Close()
	if err := errors.Join(pub.Listen(readings), rep.Listen(commands)); err != nil {
		return err
	}
	fmt.Printf("house: readings at %s, commands at %s\n", pub.Addr(), rep.Addr())
	go answer(ctx, rep)
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

// answer answers commands: the frames light, and on or off.
func answer(ctx context.Context, rep zmq4.Socket) {
	for {
		m, err := rep.Recv()
		if errors.Is(err, io.EOF) && ctx.Err() == nil {
			continue // a peer has disconnected
		}
		if err != nil {
			return
		}
		reply := "error: want the frames light, and on or off"
		if len(m.Frames) == 2 && string(m.Frames[0]) == "light" {
			reply = "ok: the light is " + string(m.Frames[1])
		}
		_ = rep.Send(zmq4.NewMsgString(reply)) // the peer may have disconnected
	}
}
