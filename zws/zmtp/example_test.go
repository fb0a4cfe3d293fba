package zmtp_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"log"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// newKeys returns a random CURVE key pair. Package certs stores key pairs in files.
func newKeys() (public, secret [32]byte) {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	return [32]byte(k.PublicKey().Bytes()), [32]byte(k.Bytes())
}

// A publisher that accepts one client by its key, and that client.
func Example() {
	serverPublic, serverSecret := newKeys()
	clientPublic, clientSecret := newKeys()

	listener, err := zmtp.Listen("tcp://127.0.0.1:*", zap.CURVE, zmtp.ServerSecurity{
		Domain:      "devices",
		CurvePublic: serverPublic,
		CurveSecret: serverSecret,
		Handler: zap.HandlerFunc(func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
			if [32]byte(r.Credentials[0]) != clientPublic {
				return nil, zap.ErrPass
			}
			return &zap.Reply{Status: zap.OK, UserID: "panel"}, nil
		}),
	}, zmtp.ListenOptions{Options: zmtp.Options{SocketType: zmtp.PUB}})
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	go func() {
		peer, err := listener.Accept()
		if err != nil {
			return
		}
		defer peer.Close()
		message, err := peer.ReadMessage()
		if err != nil {
			return
		}
		if s, ok := zmtp.ParseSubscription(message); ok && !s.Cancel {
			fmt.Printf("%s subscribes to %q\n", peer.Peer().Reply.UserID, s.Topic)
			peer.Write(zmtp.Message{[]byte("house/kitchen"), []byte("21.5")})
		}
	}()

	conn, err := zmtp.Dial(context.Background(), listener.Endpoint(),
		zmtp.Curve{Public: clientPublic, Secret: clientSecret, ServerKey: serverPublic},
		zmtp.Options{SocketType: zmtp.SUB})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Subscribe([]byte("house/")); err != nil {
		log.Fatal(err)
	}
	message, err := conn.ReadMessage()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", message)
	// Output:
	// panel subscribes to "house/"
	// [house/kitchen 21.5]
}

// A refused login is a *RefusedError, which distinguishes it from an unreachable server.
func ExampleDial_refused() {
	listener, err := zmtp.Listen("tcp://127.0.0.1:*", zap.PLAIN, zmtp.ServerSecurity{
		Domain: "devices",
		Handler: zap.HandlerFunc(func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
			return &zap.Reply{Status: zap.Refused, Text: "wrong password"}, nil
		}),
	}, zmtp.ListenOptions{Options: zmtp.Options{SocketType: zmtp.ROUTER}})
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()

	_, err = zmtp.Dial(context.Background(), listener.Endpoint(),
		zmtp.Plain{User: "anna", Password: "guess"}, zmtp.Options{SocketType: zmtp.DEALER})
	var refused *zmtp.RefusedError
	if errors.As(err, &refused) {
		fmt.Println("status", refused.Status)
	}
	// Output: status 400
}
