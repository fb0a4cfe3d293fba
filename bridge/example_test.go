package bridge_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// A Go program mounts the bridge beside its own pages.
func ExampleBridge() {
	dir, err := os.MkdirTemp("", "bridge")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "bridge.toml")
	if err := os.WriteFile(file, []byte(`
[zap]
chain = [ { authn = "guests" } ]
[auth.guests]
type = "anonymous"
[[route]]
path = "/zmq/weather"
socket = "SUB"
connect = ["tcp://127.0.0.1:1"]  # nobody is there
client_mechanisms = ["NULL"]
`), 0o600); err != nil {
		panic(err)
	}
	config, faults := config.Load(file)
	if err := faults.Err(); err != nil {
		panic(err)
	}
	b, err := bridge.New(config, bridge.Options{Logger: slog.New(slog.DiscardHandler)})
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
		zws.DialOptions{SocketType: zmtp.SUB, Security: zmtp.Null{}})
	cause := zws.Cause(err)
	fmt.Println(cause.Code, cause.Reason)
	// Output: 4503 backend 1 cannot be reached
}
