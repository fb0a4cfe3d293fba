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
	source := new(endless)
	c, client := flushed(t, source)
	if _, err := io.ReadFull(client, make([]byte, 100_000)); err != nil {
		t.Error(err)
	}
	source.stopped.Store(true)
	go io.Copy(io.Discard, client)
	for c.out.state.Load() != idle {
		time.Sleep(time.Millisecond)
	}
}

// pinging is a Source without messages, whose client sends a ping whenever nothing is left to write, until it
// is stopped.
type pinging struct {
	conn    *Conn
	stopped atomic.Bool
}

func (p *pinging) Next(b *Batch) {
	if b.size == 0 && !p.stopped.Load() {
		_ = p.conn.answerPing("")
	}
}

// TestFlushPings: Flush returns although the writer is woken again and again. Another goroutine continues.
func TestFlushPings(t *testing.T) {
	source := new(pinging)
	c, client := flushed(t, source)
	if _, err := io.ReadFull(client, make([]byte, 100)); err != nil {
		t.Error(err)
	}
	source.stopped.Store(true)
	go io.Copy(io.Discard, client)
	for c.out.state.Load() != idle {
		time.Sleep(time.Millisecond)
	}
}

// flushed returns a connection that has source, once Flush has returned. What Flush has written itself is
// lost, and client gets what another goroutine writes.
func flushed(t *testing.T, source Source) (c *Conn, client net.Conn) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("this system has no writes that do not wait")
	}
	taker, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taker.Close() })
	server, client := net.Pipe()
	t.Cleanup(func() { server.Close(); client.Close() })
	c = &Conn{dialect: dialects["ZWS2.0/NULL"]}
	c.wire.Conn = server
	c.out.open(c, DefaultWriteTimeout)
	if c.out.direct, err = taker.SyscallConn(); err != nil {
		t.Fatal(err)
	}
	c.channel.conn = c
	c.out.source = source
	if p, ok := source.(*pinging); ok {
		p.conn = c
	}
	c.channel.Flush()
	return c, client
}
