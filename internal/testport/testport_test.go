package testport

import (
	"net"
	"runtime"
	"testing"
)

// TestReserve checks that nobody is given a reserved port by chance, and that one can listen there again
// and again.
func TestReserve(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can reserve a port")
	}
	reserved := make(map[string]bool)
	for range 500 { // of 28,232 that the system chooses from
		reserved[Reserve(t)] = true
	}
	if len(reserved) != 500 {
		t.Errorf("%d different addresses, want 500", len(reserved))
	}
	for range 200 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []net.Addr{l.Addr(), c.LocalAddr()} {
			if reserved[a.String()] {
				t.Errorf("%s was given away", a)
			}
		}
		c.Close()
		l.Close()
	}
	address := Reserve(t)
	for range 2 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			t.Error("somebody listens there")
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}
