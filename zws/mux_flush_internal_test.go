package zws

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
)

// muxFlushed is a connection whose Flush writes to a file. What another goroutine writes goes to client.
type muxFlushed struct {
	*mux
	file   string
	client net.Conn
}

func newMuxFlushed(t *testing.T) muxFlushed {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("this system has no writes that do not wait")
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "written"))
	if err != nil {
		t.Fatal(err)
	}
	server, client := net.Pipe()
	t.Cleanup(func() { file.Close(); server.Close(); client.Close() })
	m := newFuzzedMux(t)
	out := &m.conn.out
	m.conn.wire.Conn = server
	out.open(m.conn, DefaultWriteTimeout)
	if out.direct, err = file.SyscallConn(); err != nil {
		t.Fatal(err)
	}
	out.source = m
	out.state.Store(idle)
	return muxFlushed{m, file.Name(), client}
}

// openWith opens a channel with that source, without waking the writer.
func (m muxFlushed) openWith(t *testing.T, source Source, credit uint64) *muxChannel {
	t.Helper()
	ch, err := m.open(&muxframe.Frame{Op: muxframe.Open, Channel: m.last + 1, Number: credit})
	if err != nil {
		t.Fatal(err)
	}
	ch.source = source
	return ch
}

// wantFlushed checks what Flush has written, as described describes it.
func (m muxFlushed) wantFlushed(t *testing.T, want string) {
	t.Helper()
	p, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range webSocketMessages(t, p) {
		got = append(got, described(t, p))
	}
	if got := strings.Join(got, "|"); got != want {
		t.Errorf("Flush has written %q, want %q", got, want)
	}
}

// wantWritten checks the next WebSocket message that another goroutine writes.
func (m muxFlushed) wantWritten(t *testing.T, want string) {
	t.Helper()
	p := make([]byte, 100)
	n, err := m.client.Read(p)
	if err != nil {
		t.Fatal(err)
	}
	if got := described(t, webSocketMessages(t, p[:n])[0]); got != want {
		t.Errorf("another goroutine has written %q, want %q", got, want)
	}
}

// rest waits until no goroutine writes.
func (m muxFlushed) rest() {
	for m.conn.out.state.Load() != idle {
		time.Sleep(time.Millisecond)
	}
}

// TestMuxFlush: channels that are announced together share a write, and what was written already costs no
// other one.
func TestMuxFlush(t *testing.T) {
	m := newMuxFlushed(t)
	sources := [2]listed{{"a"}, {"b"}}
	one, two := m.openWith(t, &sources[0], 1000), m.openWith(t, &sources[1], 1000)
	one.Announce()
	two.Announce()
	one.Flush()
	m.wantFlushed(t, "[1: a 2: b]")
	sources[1] = listed{"c"} // which was not announced
	two.Flush()
	m.wantFlushed(t, "[1: a 2: b]")
	two.Announce()
	two.Flush()
	m.wantFlushed(t, "[1: a 2: b]|2: c")
	if s := m.conn.out.state.Load(); s != idle {
		t.Errorf("the writer's state is %d", s)
	}
}

// patient is a Source that a goroutine must not ask that is in a hurry.
type patient struct {
	listed
	t *testing.T
}

func (p *patient) Next(b *Batch) {
	if b.hurried {
		p.t.Error("asked by Flush")
	}
	p.listed.Next(b)
}

// TestMuxFlushWoken: the source of a channel that was woken is asked by another goroutine, not by Flush of
// the channel beside it.
func TestMuxFlushWoken(t *testing.T) {
	m := newMuxFlushed(t)
	one := m.openWith(t, &patient{listed{"a"}, t}, 1000)
	two := m.openWith(t, &listed{"b"}, 1000)
	m.mu.Lock()
	one.activateWoken() // its Wake starts the writer now
	m.mu.Unlock()
	two.Announce()
	two.Flush()
	m.wantFlushed(t, "2: b")
	m.wantWritten(t, "1: a")
	m.rest()

	m.mu.Lock()
	one.source = &patient{listed{"c"}, t}
	one.activateWoken()
	m.mu.Unlock()
	one.Announce()
	one.Flush()
	m.wantFlushed(t, "2: b")
	m.wantWritten(t, "1: c")
	m.rest()
}

// TestMuxFlushEndless: Flush returns although a channel has always more and the client takes everything at
// once. Another goroutine continues.
func TestMuxFlushEndless(t *testing.T) {
	m := newMuxFlushed(t)
	source := new(endless)
	ch := m.openWith(t, source, muxframe.MaxCredit)
	ch.Announce()
	ch.Flush()
	if _, err := io.ReadFull(m.client, make([]byte, 100_000)); err != nil {
		t.Error(err)
	}
	source.stopped.Store(true)
	go io.Copy(io.Discard, m.client)
	m.rest()
}

// TestMuxFlushCredit: without credit Flush leaves the rest until the client gives some. Credit that is not
// waited for does not start the writer.
func TestMuxFlushCredit(t *testing.T) {
	m := newMuxFlushed(t)
	source := listed{"a", "b"}
	ch := m.openWith(t, &source, 1)
	if err := ch.addCredit(1); err != nil {
		t.Fatal(err)
	}
	if s := m.conn.out.state.Load(); s != idle || ch.active {
		t.Errorf("the writer's state is %d, and the channel is active: %v", s, ch.active)
	}
	ch.Announce()
	ch.Flush()
	m.wantFlushed(t, "1: a")
	m.rest()
	if err := ch.addCredit(1000); err != nil {
		t.Fatal(err)
	}
	m.wantWritten(t, "1: b")
	m.rest()
}
