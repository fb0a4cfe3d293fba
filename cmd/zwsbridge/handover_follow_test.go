//go:build unix

package main

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

const followedConfig = `
[server]
listen = "127.0.0.1:0"
tls = "off"
[admin]
listen = "127.0.0.1:0"
[zap]
chain = [ { authn = "guests" } ]
[auth.guests]
type = "anonymous"
[[route]]
path = "/ask"
socket = "REQ"
connect = [%q]
client_mechanisms = ["NULL"]
allow = "all"
`

// TestHandoverFollowed: while the process that has handed over waits for the answer to a request, it leaves
// reloads to the new process and hands over to no other.
func TestHandoverFollowed(t *testing.T) {
	endpoint, asked := silentBackend(t)
	u := startUpgraded(t, fmt.Sprintf(followedConfig, endpoint))
	asking(t, u, asked)
	u.upgrade()
	before := u.cmd.Process
	for s, want := range map[syscall.Signal]string{
		syscall.SIGHUP:  "configuration reloaded", // by the new process: the old one logs that it leaves it
		syscall.SIGUSR2: "handed over already",
	} {
		if err := before.Signal(s); err != nil {
			t.Fatal(err)
		}
		u.logged(want)
	}
}

// silentBackend starts a native peer that answers no request. It sends to asked for each.
func silentBackend(t *testing.T) (endpoint string, asked <-chan struct{}) {
	t.Helper()
	accept := zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) { return &zap.Reply{Status: zap.OK}, nil })
	l, err := zmtp.Listen("tcp://127.0.0.1:0", zap.NULL, zmtp.ServerSecurity{Domain: "native", Handler: accept},
		zmtp.ListenOptions{Options: zmtp.Options{SocketType: zmtp.REP}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	requests := make(chan struct{}, 10)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(t.Context(), func() { conn.Close() })()
				for _, err := conn.ReadMessage(); err == nil; _, err = conn.ReadMessage() {
					requests <- struct{}{}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return l.Endpoint(), requests
}
