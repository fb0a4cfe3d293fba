package load

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"
)

// Conn is the client side of a WebSocket connection, with no more than a benchmark needs.
type Conn struct {
	net.Conn
	in *bufio.Reader
}

// The opcodes of RFC 6455, section 5.2, that the benchmark uses.
const (
	OpText   = 1
	OpBinary = 2

	opClose = 8
	opPing  = 9
	opPong  = 10
)

// Dial connects to srv and opens a WebSocket on path (RFC 6455, section 4.1), offering
// subprotocol unless it is empty. What follows on the connection has 20 seconds; see [Conn.Raw].
func Dial(srv *Server, path, subprotocol string) (*Conn, error) {
	return dial(&net.Dialer{Timeout: 10 * time.Second}, srv, path, subprotocol, 20*time.Second)
}

// dial is Dial with a dialer, and with the time for what follows on the connection.
func dial(from *net.Dialer, srv *Server, path, subprotocol string, timeout time.Duration) (*Conn, error) {
	nc, err := from.Dial("tcp", srv.Address)
	if err != nil {
		return nil, err
	}
	nc.SetDeadline(time.Now().Add(timeout))
	transport := nc
	if srv.TLS {
		transport = tls.Client(nc, clientTLS)
	}
	c, err := upgrade(transport, path, subprotocol)
	if err != nil {
		nc.Close()
	}
	return c, err
}

func upgrade(nc net.Conn, path, subprotocol string) (*Conn, error) {
	key := base64.StdEncoding.EncodeToString(make([]byte, 16))
	request := "GET " + path + " HTTP/1.1\r\nHost: " + nc.RemoteAddr().String() +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n"
	if subprotocol != "" {
		request += "Sec-WebSocket-Protocol: " + subprotocol + "\r\n"
	}
	if _, err := io.WriteString(nc, request+"\r\n"); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(nc, 4096)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("upgrade of %s: %s", path, answer.Status)
	}
	return &Conn{nc, in}, nil
}

// appendFrame appends a masked frame. The mask is zero, which RFC 6455 permits.
func appendFrame(dst []byte, opcode byte, payload []byte) []byte {
	dst = append(dst, 0x80|opcode)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = append(dst, 0x80|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, 0x80|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	dst = append(dst, 0, 0, 0, 0)
	return append(dst, payload...)
}

// Send sends one message.
func (c *Conn) Send(opcode byte, payload string) error {
	_, err := c.Write(appendFrame(nil, opcode, []byte(payload)))
	return err
}

// Receive returns the payload of the next data frame, at most 1 MiB.
func (c *Conn) Receive() ([]byte, error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(c.in, head[:]); err != nil {
			return nil, err
		}
		size := uint64(head[1])
		var long [8]byte
		switch size {
		case 126:
			if _, err := io.ReadFull(c.in, long[6:]); err != nil {
				return nil, err
			}
			size = binary.BigEndian.Uint64(long[:])
		case 127:
			if _, err := io.ReadFull(c.in, long[:]); err != nil {
				return nil, err
			}
			size = binary.BigEndian.Uint64(long[:])
		}
		if size > 1<<20 {
			return nil, fmt.Errorf("frame of %d bytes, want at most %d", size, 1<<20)
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(c.in, payload); err != nil {
			return nil, err
		}
		switch head[0] & 0xf {
		case opClose:
			return nil, closedBy(payload)
		case opPing, opPong:
			continue
		}
		return payload, nil
	}
}

// closeError is the end of a connection that the server has closed. The zero value is that of a
// connection that was lost.
type closeError struct {
	code   int
	reason string
}

func closedBy(payload []byte) closeError {
	if len(payload) < 2 {
		return closeError{}
	}
	return closeError{int(binary.BigEndian.Uint16(payload)), string(payload[2:])}
}

func (e closeError) Error() string {
	return fmt.Sprintf("closed by the server: %d %s", e.code, e.reason)
}

// final reports whether the client is not to come back.
func (e closeError) final() bool { return slices.Contains(finalCodes, e.code) }

// Raw returns the connection below c, without a deadline, for a client that only counts what
// it receives.
func (c *Conn) Raw() (net.Conn, error) {
	return c.Conn, c.SetDeadline(time.Time{})
}

// counter counts the payload bytes of the data frames that arrive on one connection.
type counter struct {
	payload int64
	skip    int // payload bytes of the current frame that are still to come
	header  [10]byte
	have    int // bytes in header
	// overhead is how many bytes of each frame are not of its messages, whose number in a frame
	// varies.
	overhead int64
}

// count takes the bytes of one read. Most frames have a two-byte header that arrives whole.
func (c *counter) count(p []byte) {
	for len(p) > 0 {
		if c.skip > 0 {
			n := min(c.skip, len(p))
			c.skip -= n
			p = p[n:]
			continue
		}
		if c.have == 0 && len(p) >= 2 && p[1] < 126 {
			c.frame(p[0], int(p[1]))
			p = p[2:]
			continue
		}
		c.header[c.have] = p[0]
		c.have++
		p = p[1:]
		switch {
		case c.have == 2 && c.header[1] < 126:
			c.frame(c.header[0], int(c.header[1]))
		case c.have == 4 && c.header[1] == 126:
			c.frame(c.header[0], int(binary.BigEndian.Uint16(c.header[2:])))
		case c.have == 10:
			c.frame(c.header[0], int(binary.BigEndian.Uint64(c.header[2:])))
		}
	}
}

func (c *counter) frame(first byte, size int) {
	c.have, c.skip = 0, size
	if first&0xf < opClose {
		c.payload += int64(size) - c.overhead
	}
}
