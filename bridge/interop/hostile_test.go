//go:build interop

package interop

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// hostile is a server that speaks ZWSMUX1.0 until the first message, and then does what the path of
// the URL says.
type hostile struct {
	url  string
	huge int // bytes of the message that /huge sends

	mu    sync.Mutex
	calls map[string]int // connections by path
}

// attacks are what the server does, by path. Most end when the client closes the connection.
var attacks = map[string]func(h *hostile, c net.Conn, first bool){
	"/huge": func(h *hostile, c net.Conn, _ bool) { // empty messages, in one of the WebSocket
		c.Write(append(binary.BigEndian.AppendUint64([]byte{0x82, 127}, uint64(h.huge+5)), 5, 0, 0, 0, 1))
		empty := bytes.Repeat([]byte{0, 0, 0, 4, 0, 0, 0, 0}, 1<<15)
		for left := h.huge; left > 0; left -= len(empty) {
			if _, err := c.Write(empty[:min(left, len(empty))]); err != nil {
				return
			}
		}
		io.Copy(io.Discard, c)
	},
	"/bundle": func(h *hostile, c net.Conn, _ bool) { // pongs, in one message
		const pong = "\x00\x00\x00\x01\x16"
		n := h.huge / len(pong)
		c.Write(append(binary.BigEndian.AppendUint64([]byte{0x82, 127}, uint64(n*len(pong)+1)), 0x17))
		c.Write(bytes.Repeat([]byte(pong), n))
		io.Copy(io.Discard, c)
	},
	"/op": func(_ *hostile, c net.Conn, _ bool) {
		c.Write([]byte{0x82, 1, 99})
		io.Copy(io.Discard, c)
	},
	"/lengths": func(_ *hostile, c net.Conn, _ bool) {
		c.Write([]byte{0x82, 9, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff})
		io.Copy(io.Discard, c)
	},
	"/fragments": func(_ *hostile, c net.Conn, first bool) {
		go io.Copy(io.Discard, c)
		opcode := byte(2)
		for range 10_000 { // at most 10 s
			if _, err := c.Write([]byte{opcode, 1, 5}); err != nil {
				return
			}
			opcode = 0
			time.Sleep(time.Millisecond)
		}
	},
	// A proxy that has forgotten the connection, and knows the next one.
	"/silent": func(h *hostile, c net.Conn, first bool) {
		for in := bufio.NewReader(c); ; {
			ping, err := readClient(in)
			if err != nil {
				return
			}
			if !first && len(ping) > 0 && ping[0] == 21 {
				ping[0] = 22
				c.Write(append([]byte{0x82, byte(len(ping))}, ping...))
			}
		}
	},
	"/expiring": func(_ *hostile, c net.Conn, _ bool) {
		expiring := bytes.Repeat([]byte{0x82, 5, 9, 0, 0, 0, 60}, 1000)
		for range 20 {
			c.Write(expiring)
		}
		c.Write([]byte{0x82, 18, 5, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 5, 's', 't', 'i', 'l', 'l'})
		io.Copy(io.Discard, c)
	},
	// The first time only, with RST.
	"/reset": func(_ *hostile, c net.Conn, first bool) {
		if first {
			c.(*net.TCPConn).SetLinger(0)
			return
		}
		io.Copy(io.Discard, c)
	},
}

func startHostile(t *testing.T, huge int) *hostile {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{url: "ws://" + l.Addr().String(), huge: huge, calls: make(map[string]int)}
	var running sync.WaitGroup
	var open sync.Map
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(c, nil)
			running.Go(func() {
				defer c.Close()
				h.serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		running.Wait()
	})
	return h
}

func (h *hostile) serve(c net.Conn) {
	in := bufio.NewReader(c)
	r, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	h.mu.Lock()
	h.calls[r.URL.Path]++
	first := h.calls[r.URL.Path] == 1
	h.mu.Unlock()
	key := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: ZWSMUX1.0\r\n" +
		"Sec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(key[:]) + "\r\n"
	if r.URL.Path == "/drip" { // a handshake without an end
		for _, b := range []byte(answer + strings.Repeat("X-More: and more\r\n", 1000)) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		return
	}
	io.WriteString(c, answer+"\r\n")
	for _, next := range []struct{ op, answer string }{{"\x01", "\x82\x05\x02\x00\x00\x00\x64"}, {"\x03", "\x82\x09\x04\x00\x00\x00\x01\x00\x01\x00\x00"}} {
		if f, err := readClient(in); err != nil || string(f[:1]) != next.op {
			return
		}
		io.WriteString(c, next.answer)
	}
	if attack := attacks[r.URL.Path]; attack != nil {
		attack(h, c, first)
	}
}

// readClient reads a message of a client, which has one frame.
func readClient(in *bufio.Reader) ([]byte, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, err
	}
	size := int(head[1] & 127)
	if size == 126 {
		var long [2]byte
		if _, err := io.ReadFull(in, long[:]); err != nil {
			return nil, err
		}
		size = int(binary.BigEndian.Uint16(long[:]))
	}
	all := make([]byte, 4+size)
	if _, err := io.ReadFull(in, all); err != nil {
		return nil, err
	}
	for i := range all[4:] {
		all[4+i] ^= all[i%4]
	}
	if len(all) == 4 {
		return nil, io.EOF
	}
	return all[4:], nil
}

// hostileCases is what a page is told of each attack: an event, and for a refusal its reason.
var hostileCases = []struct {
	path    string
	options credentials
	event   string
	code    int
	reason  string
}{
	{"/huge", credentials{"heartbeat": false}, "refused", 1002, "message without credit"},
	{"/bundle", credentials{"heartbeat": false}, "refused", 1002, "malformed bundle"},
	{"/op", nil, "refused", 1002, "unknown op 99"},
	{"/lengths", nil, "refused", 1002, "malformed message"},
	{"/fragments", nil, "disconnect", 1006, "did not answer a ping"},
	{"/silent", nil, "disconnect", 1006, "did not answer a ping"},
	{"/reset", nil, "disconnect", 1006, "lost"},
	{"/drip", credentials{"handshakeTimeout": 1000}, "disconnect", 1006, "took longer than 1000 ms"},
	{"/token", credentials{"mechanism": "BEARER", "tokens": []string{""}, "handshakeTimeout": 500}, "disconnect", 1006, "credentials"},
	{"/expiring", credentials{"mechanism": "BEARER", "tokens": []string{"first", ""}, "handshakeTimeout": 5000}, "message", 0, ""},
}

// TestHostileServer opens pages to a server that means harm, or behind which nothing answers any more: each
// is told what happened, by a typed event and by its reader, and goes on where that makes sense.
func TestHostileServer(t *testing.T) { hostileRounds(t, 1, 32<<20) }

// TestHostileServerSoak is TestHostileServer again and again in the same pages, with a message of 300 MiB.
func TestHostileServerSoak(t *testing.T) {
	if os.Getenv("ZWSBRIDGE_SOAK") == "" {
		t.Skip("takes long; run `make soak`")
	}
	hostileRounds(t, 10, 300<<20)
}

func hostileRounds(t *testing.T, rounds, huge int) {
	for _, where := range []string{"chromium", "firefox"} {
		t.Run(where, func(t *testing.T) {
			client := platform(t, where)
			home := newHome(t)
			home.pages()
			page := "http" + strings.TrimPrefix(home.bridge(strings.Replace(allMechanisms, "[server]", "[server]\nstatic = \"www\"", 1)+
				routeAt("/work", "DEALER", freePort(t), anyMechanism)), "ws")
			for round := range rounds {
				server := startHostile(t, huge)
				for _, c := range hostileCases {
					t.Run(fmt.Sprint(c.path[1:], " ", round), func(t *testing.T) {
						o := credentials{"heartbeat": map[string]int{"interval": 300, "timeout": 700}}
						for k, v := range c.options {
							o[k] = v
						}
						s := client.open(t, command{Type: "DEALER", Connect: server.url + c.path, Options: o.with(page)})
						s.do("watch")
						s.meet(c.event, c.code, c.reason, c.path)
						s.ignored = []string{"ready", "recovered", "disconnect", "expiring"}
						s.do("watched")
						e := s.wait("watched")
						t.Logf("a timer was late by %s at most, the longest task took %s", e.Frames[0], e.Frames[1])
					})
				}
			}
		})
	}
}

// meet waits for an event of the page that is told of an attack.
func (s *socket) meet(event string, code int, reason, path string) {
	s.t.Helper()
	s.ignored = []string{"ready", "expiring"}
	e := s.wait(event)
	if e.Code != code || !strings.Contains(e.Reason, reason) {
		s.t.Errorf("event %+v, want %d with %q", e, code, reason)
	}
	switch {
	case event == "refused":
		if e := s.wait("ended"); e.Code != code || e.Error != "RefusedError" {
			s.t.Errorf("the reader gets %+v, want a RefusedError with %d", e, code)
		}
	case path == "/silent" || path == "/reset":
		s.ignored = append(s.ignored, "disconnect") // on a busy machine also the next ones are late
		s.wait("recovered")
	}
}
