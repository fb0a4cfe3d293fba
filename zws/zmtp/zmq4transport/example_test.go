package zmq4transport_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
	"github.com/zwsbridge/zwsbridge/zws/zmtp/zmq4transport"
)

// keyPair returns a random CURVE key pair. Package certs stores key pairs in files.
func keyPair() (public, secret [32]byte) {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	return [32]byte(k.PublicKey().Bytes()), [32]byte(k.Bytes())
}

// A device that publishes over CURVE, and a panel that subscribes to it.
func Example() {
	devicePublic, deviceSecret := keyPair()
	panelPublic, panelSecret := keyPair()

	// The device.
	if err := zmq4transport.Register("device", zmq4transport.Options{
		Mechanism: zap.CURVE,
		Server: zmtp.ServerSecurity{
			CurvePublic: devicePublic, CurveSecret: deviceSecret,
			Domain: "devices", Handler: allow(panelPublic),
		},
	}); err != nil {
		log.Fatal(err)
	}
	pub := zmq4.NewPub(context.Background())
	defer pub.Close()
	if err := pub.Listen("device://127.0.0.1:*"); err != nil {
		log.Fatal(err)
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-ticker.C:
				pub.Send(zmq4.NewMsgFromString([]string{"kitchen", "21.5"}))
			case <-stop:
				return
			}
		}
	}()

	// The panel.
	if err := zmq4transport.Register("panel", zmq4transport.Options{
		Client: zmtp.Curve{Public: panelPublic, Secret: panelSecret, ServerKey: devicePublic},
	}); err != nil {
		log.Fatal(err)
	}
	sub := zmq4.NewSub(context.Background(), zmq4.WithDialerMaxRetries(0))
	defer sub.Close()
	if err := sub.Dial("panel://" + pub.Addr().String()); err != nil {
		log.Fatal(err)
	}
	if err := sub.SetOption(zmq4.OptionSubscribe, "kitchen"); err != nil {
		log.Fatal(err)
	}
	msg, err := sub.Recv()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", msg.Frames)
	// Output: [kitchen 21.5]
}

// allow returns a ZAP handler that accepts one CURVE key.
func allow(key [32]byte) zap.Handler {
	return zap.HandlerFunc(func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
		if r.Mechanism != zap.CURVE || [32]byte(r.Credentials[0]) != key {
			return nil, zap.ErrPass
		}
		return &zap.Reply{Status: zap.OK, UserID: "panel"}, nil
	})
}

// A zmq4 server that checks passwords. Dial with a wrong one returns a *RefusedError.
func ExampleRegister() {
	if err := zmq4transport.Register("door", zmq4transport.Options{
		Mechanism: zap.PLAIN,
		Server: zmtp.ServerSecurity{
			Domain: "devices",
			Handler: zap.HandlerFunc(func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
				if user, password, _ := r.Plain(); user != "anna" || password != "opens" {
					return &zap.Reply{Status: zap.Refused}, nil
				}
				return &zap.Reply{Status: zap.OK, UserID: "anna"}, nil
			}),
		},
	}); err != nil {
		log.Fatal(err)
	}
	rep := zmq4.NewRep(context.Background())
	defer rep.Close()
	if err := rep.Listen("door://127.0.0.1:*"); err != nil {
		log.Fatal(err)
	}

	if err := zmq4transport.Register("guest", zmq4transport.Options{
		Client: zmtp.Plain{User: "anna", Password: "guess"},
	}); err != nil {
		log.Fatal(err)
	}
	req := zmq4.NewReq(context.Background(), zmq4.WithDialerMaxRetries(0))
	defer req.Close()
	err := req.Dial("guest://" + rep.Addr().String())
	var refused *zmtp.RefusedError
	if errors.As(err, &refused) {
		fmt.Println("refused with", refused.Status)
	}
	// Output: refused with 400
}
