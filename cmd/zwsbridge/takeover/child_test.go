//go:build unix

package takeover

import (
	"io"
	"net"
	"os/exec"
	"testing"
)

// TestErr: the end of a process with an error is one, unless another process serves instead.
func TestErr(t *testing.T) {
	for said, ok := range map[string]bool{
		"ready\n":                             false,
		"ready\npassed\n":                     true,
		"ready\npassed\nfailed nobody left\n": false,
	} {
		cmd := exec.Command("false")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		pair, other := net.Pipe()
		events := make(chan Event, 2)
		c := &Child{Events: events, process: cmd.Process, pair: pair}
		go c.follow(events)
		if _, err := io.WriteString(other, said); err != nil {
			t.Fatal(err)
		}
		other.Close()
		for range c.Events {
		}
		if err := c.Err(); (err == nil) != ok {
			t.Errorf("%q: %v", said, err)
		}
	}
}
