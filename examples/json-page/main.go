// Command json-page runs a house that publishes its temperature, a bridge, and a web page
// that shows it with ten lines of plain WebSocket and JSON: see page/page.js.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/zap/htpasswd"
)

const settings = `
[server]
tls = "off"        # browser and bridge are on the same machine
static = "page"

[zap]
chain = [ { authn = "users" } ]
[auth.users]
type = "htpasswd"
file = %q

[[route]]
path = "/house"
socket = "SUB"
connect = ["tcp://%s"]
mechanism = "NULL"
allow = [ { user = "*", subscribe = ["house/{user}/"] } ]
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, "127.0.0.1:8080", func(url string) { fmt.Println("Open", url) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves page and bridge until ctx is done. It calls onReady with the URL of the page.
func run(ctx context.Context, address string, onReady func(url string)) error {
	house := zmq4.NewPub(ctx)
	defer house.Close()
	if err := house.Listen("tcp://127.0.0.1:0"); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "json-page")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := newBridge(dir, house.Addr())
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	onReady("http://" + l.Addr().String() + "/")
	publishErr := publish(ctx, house)

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = errors.Join(publishErr, b.Close(ctx), server.Shutdown(ctx))
	if serveErr := <-served; serveErr != http.ErrServerClosed {
		err = errors.Join(err, serveErr)
	}
	return err
}

// newBridge creates a bridge for the house, with one user. It writes its files to dir.
func newBridge(dir string, house net.Addr) (*bridge.Bridge, error) {
	users := filepath.Join(dir, "users.htpasswd")
	if err := htpasswd.Set(users, "ann", "garden"); err != nil {
		return nil, err
	}
	page, err := filepath.Abs("page")
	if err != nil {
		return nil, err
	}
	if err := os.CopyFS(filepath.Join(dir, "page"), os.DirFS(page)); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "bridge.toml")
	if err := os.WriteFile(file, fmt.Appendf(nil, settings, users, house), 0o600); err != nil {
		return nil, err
	}
	c, faults := config.Load(file)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return bridge.New(c, bridge.Options{})
}

// publish publishes the temperature twice a second until ctx is done.
func publish(ctx context.Context, house zmq4.Socket) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		temperature := fmt.Sprintf("%.1f °C", 20+float64(n%30)/10)
		if err := house.Send(zmq4.NewMsgFrom([]byte("house/ann/temperature"), []byte(temperature))); err != nil {
			return err
		}
	}
}
