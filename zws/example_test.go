package zws_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// answers is a Source for one client.
type answers struct {
	channel *zws.Channel
	mu      sync.Mutex
	queued  []zmtp.Message
}

func (a *answers) add(m zmtp.Message) {
	a.mu.Lock()
	a.queued = append(a.queued, m)
	a.mu.Unlock()
	a.channel.Wake()
}

// Next appends what is queued.
func (a *answers) Next(b *zws.Batch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.queued) > 0 && !b.Full() {
		b.Message(a.queued[0], nil) // an error ends the connection
		a.queued = a.queued[1:]
	}
}

// A REP socket in a few lines, for clients that log in with a user name and password.
func Example() {
	users := zap.HandlerFunc(func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
		user, password, ok := r.Plain()
		if !ok || user != "alice" || password != "wonderland" {
			return &zap.Reply{Status: zap.Refused}, nil
		}
		return &zap.Reply{Status: zap.OK, UserID: user}, nil
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login, err := zws.Accept(context.Background(), w, r, zws.Options{
			Handler:          users,
			Domain:           "example",
			Mechanisms:       []zap.Mechanism{zap.PLAIN},
			Announce:         zmtp.REP,
			ClientTypes:      []zmtp.SocketType{zmtp.REQ},
			Untyped:          zmtp.REQ,
			PlaintextAllowed: true, // httptest listens on loopback
		})
		if err != nil {
			return // the client was told why
		}
		// The client waits for READY: a bridge connects to its backends here.
		conn, err := login.Accept(zws.AcceptOptions{})
		if err != nil {
			return
		}
		defer conn.Close(nil)
		channel := conn.Channel()
		out := &answers{channel: channel}
		channel.Attach(out)
		for {
			request, err := channel.ReadMessage() // an empty delimiter, then the request
			if err != nil {
				return
			}
			hello := fmt.Sprintf("%s, %s", request[1], conn.Login().User())
			out.add(zmtp.Message{request[0], []byte(hello)})
		}
	}))
	defer server.Close()
	url := "ws" + strings.TrimPrefix(server.URL, "http")

	options := zws.DialOptions{SocketType: zmtp.REQ, Security: zmtp.Plain{User: "alice", Password: "wonderland"}}
	client, err := zws.Dial(context.Background(), url, options)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := client.Send(context.Background(), zmtp.Message{{}, []byte("hello")}); err != nil {
		log.Fatal(err)
	}
	answer, err := client.Recv(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", answer[1])

	options.Security = zmtp.Plain{User: "alice", Password: "looking-glass"}
	_, err = zws.Dial(context.Background(), url, options)
	var refused *zws.CloseError
	if errors.As(err, &refused) {
		fmt.Println(refused.Code, refused.Reason)
	}
	// Output:
	// hello, alice
	// 4400 login refused
}

// The reason that a client gets when the ZAP handler could not decide.
func ExampleCause() {
	err := &zmtp.RefusedError{Status: zap.Temporary, Reason: "connection refused by 10.0.0.7"}
	cause := zws.Cause(err)
	fmt.Println(cause.Code, cause.Reason)
	fmt.Println("try again:", !cause.Code.Final())
	// Output:
	// 4300 the login cannot be checked at present: try again later
	// try again: true
}

// A message has the same encoding for all clients with the same codec.
func ExampleCodec() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login, err := zws.Accept(context.Background(), w, r, zws.Options{
			Handler: zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
				return &zap.Reply{Status: zap.OK}, nil
			}),
			Domain:      "example",
			Mechanisms:  []zap.Mechanism{zap.NULL},
			Announce:    zmtp.PUB,
			ClientTypes: []zmtp.SocketType{zmtp.SUB},
			Untyped:     zmtp.SUB,
		})
		if err != nil {
			return
		}
		conn, err := login.Accept(zws.AcceptOptions{})
		if err != nil {
			return
		}
		defer conn.Close(nil)
		if codec, ok := conn.Channel().Codec(); ok {
			fmt.Printf("%x\n", codec.AppendMessage(nil, zmtp.Message{[]byte("topic"), []byte("21.5")}, nil))
		}
	}))
	defer server.Close()
	client, err := zws.Dial(context.Background(), "ws"+strings.TrimPrefix(server.URL, "http"), zws.DialOptions{
		SocketType: zmtp.SUB, Security: zmtp.Null{},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	_, err = client.Recv(context.Background())
	fmt.Println(zws.Cause(err).Code)
	// Output:
	// 820601746f70696382050032312e35
	// 1000
}
