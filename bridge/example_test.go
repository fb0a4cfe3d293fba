package bridge_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// A program serves the bridge and its own pages from one mux, and decides on logins itself. A client
// that logs in is told that the backend of its route cannot be reached.
func ExampleBridge() {
	c := config.Default()
	c.Routes = []config.Route{{
		Path:    "/zmq/weather",
		Socket:  zmtp.SUB,
		Connect: []config.Endpoint{{Endpoint: "tcp://127.0.0.1:1"}},
		Allow:   []config.AllowRule{{User: "*", Subscribe: []string{"{user}/"}}},
	}}
	logins := zap.HandlerFunc(func(_ context.Context, req *zap.Request) (*zap.Reply, error) {
		if user, password, ok := req.Plain(); ok && user == "alice" && password == "secret" {
			return &zap.Reply{Status: zap.OK, UserID: user}, nil
		}
		return &zap.Reply{Status: zap.Refused}, nil
	})
	b, err := bridge.New(c, bridge.Options{Handler: logins, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	defer b.Close(context.Background())

	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir("pages")))
	mux.Handle("/zmq/", b)
	server := httptest.NewServer(mux)
	defer server.Close()

	_, err = zws.Dial(context.Background(), "ws"+server.URL[len("http"):]+"/zmq/weather",
		zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Plain{User: "alice", Password: "secret"}})
	fmt.Println(zws.Cause(err))
	// Output: 4503 backend 1 cannot be reached
}
