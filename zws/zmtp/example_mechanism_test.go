package zmtp_test

import (
	"context"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// A mechanism knows commands but no transport. Here the commands of two sides of PLAIN are
// passed on directly.
func ExampleNewServer() {
	handler := zap.HandlerFunc(func(_ context.Context, r *zap.Request) (*zap.Reply, error) {
		if user, password, ok := r.Plain(); ok && password == "open sesame" {
			return &zap.Reply{Status: zap.OK, UserID: user}, nil
		}
		return &zap.Reply{Status: zap.Refused}, nil
	})
	login := func(password string) {
		client, err := zmtp.Plain{User: "anna", Password: password}.NewClient(zap.Metadata{{Name: "Socket-Type", Value: "SUB"}})
		if err != nil {
			fmt.Println(err)
			return
		}
		server, err := zmtp.NewServer(zap.PLAIN, zmtp.ServerSecurity{
			Handler: handler,
			Domain:  "house",
			Local:   zap.Metadata{{Name: "Socket-Type", Value: "PUB"}},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		ctx := context.Background()
		command, err := client.Next(ctx, nil) // the client speaks first
		for turn := 0; command != nil; turn++ {
			fmt.Println(command.Name)
			command, err = []zmtp.Mechanism{server, client}[turn%2].Next(ctx, command)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(server.Peer().Reply.UserID, "with a", server.Peer().SocketType())
	}
	login("open sesame")
	login("guess")
	// Output:
	// HELLO
	// WELCOME
	// INITIATE
	// READY
	// anna with a SUB
	// HELLO
	// ERROR
	// login refused with status 400
}
