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

// A Go program mounts the bridge beside its own pages and decides on logins itself.
func ExampleBridge() {
	c := config.Default()
	c.Routes = []config.Route{{
		Path:    "/zmq/weather",
		Socket:  zmtp.SUB,
		Connect: []config.Endpoint{{Endpoint: "tcp://127.0.0.1:1"}}, // no backend is there
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
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "my own page") })
	mux.Handle("/zmq/", b)
	server := httptest.NewServer(mux)
	defer server.Close()

	_, err = zws.Dial(context.Background(), "ws"+server.URL[len("http"):]+"/zmq/weather",
		zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Plain{User: "alice", Password: "secret"}})
	cause := zws.Cause(err)
	fmt.Println(cause.Code, cause.Reason)
	// Output: 4503 backend 1 cannot be reached
}
