package zws

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// endless is a Source that has messages until it is stopped.
type endless struct{ stopped atomic.Bool }

func (e *endless) Next(b *Batch) {
	for !e.stopped.Load() && !b.Full() {
		_ = b.Message(zmtp.Message{make([]byte, 10_000)}, nil)
	}
}

// TestFlushEndless: Flush returns although the source has always more and the client takes
// everything at once. Another goroutine continues.
func TestFlushEndless(t *testing.T) {
	taker, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer taker.Close()
	server, client := net.Pipe()
	defer server.Close()
	defer client.Close()
	c := &Conn{dialect: dialects["ZWS2.0/NULL"]}
	c.wire.Conn = server
	c.out.open(c, DefaultWriteTimeout)
	if c.out.direct, err = taker.SyscallConn(); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "linux" {
		t.Skip("this system has no writes that do not wait")
	}
	c.channel.conn = c
	source := new(endless)
	c.out.source = source
	c.channel.Flush()
	if _, err := io.ReadFull(client, make([]byte, 100_000)); err != nil {
		t.Error(err)
	}
	source.stopped.Store(true)
	go io.Copy(io.Discard, client)
	for c.out.state.Load() != idle {
		time.Sleep(time.Millisecond)
	}
}
