package zws

import (
	"crypto/tls"
	"net"
	"syscall"
	"testing"

	"github.com/zwsbridge/zwsbridge/internal/poll"
)

// TestLimitUnsent: the socket below TLS is found, and other connections are left alone.
func TestLimitUnsent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	limitUnsent(tls.Client(conn, &tls.Config{}))
	got := 0
	if err := poll.Socket(conn).Control(func(fd uintptr) {
		got, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotsentLowat)
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil || got != maxUnsent {
		t.Errorf("%d, %v; want %d", got, err, maxUnsent)
	}

	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	limitUnsent(one)
}
