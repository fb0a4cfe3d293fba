package zmtp

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// TestShare checks that a listener takes over the socket of another one with another mechanism,
// that connections of the first stay, and that the file of an ipc endpoint goes with the last.
func TestShare(t *testing.T) {
	file := filepath.Join(t.TempDir(), "socket")
	for _, endpoint := range []string{"tcp://127.0.0.1:0", "ipc://" + file} {
		o := ListenOptions{Options: Options{SocketType: PULL, HandshakeTimeout: time.Minute}}
		sec := ServerSecurity{Domain: "test", Handler: zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
			return &zap.Reply{Status: zap.OK}, nil
		})}
		first, err := Listen(endpoint, zap.NULL, sec, o)
		if err != nil {
			t.Fatal(err)
		}
		client := Options{SocketType: PUSH, HandshakeTimeout: time.Minute}
		before, err := Dial(t.Context(), first.Endpoint(), Null{}, client)
		if err != nil {
			t.Fatal(err)
		}
		defer before.Close()
		accepted, err := first.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer accepted.Close()
		second, err := first.Share(zap.PLAIN, sec, o)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := second.Endpoint(), first.Endpoint(); got != want {
			t.Errorf("endpoint %s, want %s", got, want)
		}
		if err := first.Close(); err != nil {
			t.Error(err)
		}
		after, err := Dial(t.Context(), second.Endpoint(), Plain{User: "user"}, client)
		if err != nil {
			t.Fatalf("%s: %v", endpoint, err)
		}
		after.Close()
		if err := before.Write(Message{[]byte("still there")}); err != nil {
			t.Error(err)
		}
		if m, err := accepted.ReadMessage(); err != nil || string(m[0]) != "still there" {
			t.Errorf("%q, %v", m, err)
		}
		if err := second.Close(); err != nil {
			t.Error(err)
		}
		if err := second.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(file); err == nil {
			t.Error("the file is left behind")
		}
	}
}
