package zws_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
)

// raw is a WebSocket client that sends any bytes.
type raw struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	head string // of the server's answer, as it came
	// patience is how long receive waits before the test fails.
	patience time.Duration
	// bundled are frames of a bundle of ZWSMUX1.0 that receive has not returned yet.
	bundled []string
}

// dialRaw upgrades with the given target and further header lines.
func (s *server) dialRaw(t testing.TB, target string, header ...string) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return upgradeRaw(t, conn, target, header...)
}

func upgradeRaw(t testing.TB, conn net.Conn, target string, header ...string) *raw {
	t.Helper()
	p := &raw{t: t, conn: conn, r: bufio.NewReader(conn), patience: 20 * time.Second}
	lines := []string{"GET " + target + " HTTP/1.1", "Upgrade: websocket"}
	for _, line := range []string{"Host: example.org", "Connection: Upgrade"} {
		name, _, _ := strings.Cut(line, " ")
		if !strings.Contains("\n"+strings.Join(header, "\n"), "\n"+name) {
			lines = append(lines, line)
		}
	}
	lines = append(lines, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
	request := strings.Join(append(lines, header...), "\r\n") + "\r\n\r\n"
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	for !strings.HasSuffix(p.head, "\r\n\r\n") {
		line, err := p.r.ReadString('\n')
		if err != nil {
			t.Fatalf("reading the answer to the upgrade: %v after %q", err, p.head)
		}
		p.head += line
	}
	return p
}

func offering(names string) string { return "Sec-WebSocket-Protocol: " + names }

// write sends data as it is.
func (p *raw) write(data []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(data); err != nil {
		p.t.Fatal(err)
	}
}

// frame returns a masked frame.
func frame(first byte, payload string) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{0xa1, 0xb2, 0xc3, 0xd4}
	b = append(b, mask[:]...)
	start := len(b)
	b = append(b, payload...)
	for i := range len(payload) {
		b[start+i] ^= mask[i%4]
	}
	return b
}

func (p *raw) send(payload string) {
	p.t.Helper()
	p.write(frame(0x82, payload))
}

// receive reads one frame, which must not be masked. It returns the frames of a bundle of ZWSMUX1.0
// one by one: which ones share a bundle depends on the time.
func (p *raw) receive() (first byte, payload string, err error) {
	if len(p.bundled) == 0 {
		first, payload, err := p.receiveWebSocket()
		if err != nil || first != 0x82 || !strings.HasPrefix(payload, "\x17") {
			return first, payload, err
		}
		for rest := payload[1:]; len(rest) > 0; {
			n := 4 + int(binary.BigEndian.Uint32([]byte(rest)))
			p.bundled, rest = append(p.bundled, rest[4:n]), rest[n:]
		}
	}
	payload, p.bundled = p.bundled[0], p.bundled[1:]
	return 0x82, payload, nil
}

// receiveWebSocket reads one frame of WebSocket, which must not be masked.
func (p *raw) receiveWebSocket() (first byte, payload string, err error) {
	p.conn.SetReadDeadline(time.Now().Add(p.patience))
	head := make([]byte, 2)
	if _, err := io.ReadFull(p.r, head); err != nil {
		return 0, "", err
	}
	size := uint64(head[1])
	if n := map[uint64]int{126: 2, 127: 8}[size]; n > 0 {
		long := make([]byte, 8)
		if _, err := io.ReadFull(p.r, long[8-n:]); err != nil {
			return 0, "", err
		}
		size = binary.BigEndian.Uint64(long)
	}
	if size > 1<<24 {
		return 0, "", fmt.Errorf("frame of %d bytes: out of step, or masked", size)
	}
	body := make([]byte, size)
	_, err = io.ReadFull(p.r, body)
	return head[0], string(body), err
}

// expect reads a binary frame with that payload.
func (p *raw) expect(payload string) {
	p.t.Helper()
	first, got, err := p.receive()
	if err != nil || first != 0x82 || got != payload {
		p.t.Fatalf("received %02x %.200q, %v; want 82 %.200q", first, got, err, payload)
	}
}

// expectClose reads a close frame, and the end of the connection after it.
func (p *raw) expectClose(code zws.Code, reason string) {
	p.t.Helper()
	first, got, err := p.receive()
	if err != nil || first != 0x88 || len(got) < 2 {
		p.t.Fatalf("received %02x %.200q, %v; want close %d", first, got, err, code)
	}
	if c := zws.Code(binary.BigEndian.Uint16([]byte(got))); c != code || got[2:] != reason {
		p.t.Fatalf("closed with %d %q, want %d %q", c, got[2:], code, reason)
	}
	if rest, err := io.ReadAll(p.r); len(rest) > 0 {
		p.t.Fatalf("%x, %v after the close frame", rest, err)
	}
	p.conn.Close()
}

// status returns the status code of the answer to the upgrade.
func (p *raw) status() int {
	answer, err := http.ReadResponse(bufio.NewReader(strings.NewReader(p.head)), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer.StatusCode
}
