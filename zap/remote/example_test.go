package remote_test

import (
	"context"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zap/remote"
)

// A server with a handler, and a client that asks it. Either side could be a ZeroMQ program in
// another language.
func Example() {
	server, err := remote.Listen(remote.ServerOptions{
		Endpoint: "tcp://127.0.0.1:*",
		Handler: zap.HandlerFunc(func(_ context.Context, req *zap.Request) (*zap.Reply, error) {
			if user, password, _ := req.Plain(); user == "ada" && password == "lovelace" {
				return &zap.Reply{Status: zap.OK, UserID: user}, nil
			}
			return nil, zap.Pass("nobody we know")
		}),
	})
	if err != nil {
		panic(err)
	}
	defer server.Close()

	client, err := remote.New(remote.Options{Endpoint: server.Endpoint()})
	if err != nil {
		panic(err)
	}
	defer client.Close()
	for _, password := range []string{"lovelace", "byron"} {
		reply := zap.Decide(context.Background(), client, &zap.Request{
			Domain: "global", Mechanism: zap.PLAIN, Credentials: [][]byte{[]byte("ada"), []byte(password)},
		})
		fmt.Printf("%d %q\n", reply.Status, reply.UserID)
	}
	// Output:
	// 200 "ada"
	// 400 ""
}
