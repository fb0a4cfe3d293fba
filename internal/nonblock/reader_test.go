package nonblock

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// pair returns both ends of a connection.
func pair(t *testing.T, network string) (a, b net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// TestReaderEnds: a Reader ends for the same reasons, and with the same errors, as conn.Read.
func TestReaderEnds(t *testing.T) {
	ends := map[string]struct {
		want error
		end  func(reads, other net.Conn)
	}{
		"other side closed": {io.EOF, func(_, other net.Conn) { other.Close() }},
		"other side aborted": {syscall.ECONNRESET, func(_, other net.Conn) {
			other.(*net.TCPConn).SetLinger(0)
			other.Close()
		}},
		"closed":               {net.ErrClosed, func(reads, _ net.Conn) { reads.Close() }},
		"deadline":             {os.ErrDeadlineExceeded, func(reads, _ net.Conn) { reads.SetReadDeadline(time.Now()) }},
		"deadline in a moment": {os.ErrDeadlineExceeded, func(reads, _ net.Conn) { reads.SetReadDeadline(time.Now().Add(time.Millisecond)) }},
	}
	for name, tt := range ends {
		t.Run(name, func(t *testing.T) {
			var r Reader
			results := make(chan error, 2)
			for _, waits := range []bool{false, true} {
				for _, read := range []func(net.Conn) io.Reader{
					func(c net.Conn) io.Reader { return c },
					func(c net.Conn) io.Reader { r.Reset(c); return &r },
				} {
					reads, other := pair(t, "tcp")
					if waits {
						go func() {
							_, err := read(reads).Read(make([]byte, 10))
							results <- err
						}()
						tt.end(reads, other)
					} else {
						tt.end(reads, other)
						_, err := read(reads).Read(make([]byte, 10))
						results <- err
					}
					err := <-results
					if !errors.Is(err, tt.want) {
						t.Errorf("waits = %v: %v, want %v", waits, err, tt.want)
					}
					if op, ok := errors.AsType[*net.OpError](err); tt.want != io.EOF && (!ok || op.Op != "read" || op.Addr.String() != other.LocalAddr().String()) {
						t.Errorf("waits = %v: %v, want a net.OpError of read", waits, err)
					}
				}
			}
		})
	}
}

// TestReader reads what arrives before and during the call, without an allocation.
func TestReader(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			reads, other := pair(t, network)
			var r Reader
			r.Reset(reads)
			if n, err := r.Read(nil); n != 0 || err != nil {
				t.Errorf("%d bytes, %v of an empty read", n, err)
			}
			go func() {
				for i := range 1000 {
					other.Write([]byte{byte(i)})
				}
				other.Write(make([]byte, 128<<10))
				other.Close()
			}()
			p := make([]byte, 1000)
			if _, err := io.ReadFull(&r, p); err != nil {
				t.Fatal(err)
			}
			for i, b := range p {
				if b != byte(i) {
					t.Fatalf("byte %d is %d", i, b)
				}
			}
			if rest, err := io.ReadAll(&r); err != nil || len(rest) != 128<<10 {
				t.Errorf("%d bytes at the end, %v, want %d", len(rest), err, 128<<10)
			}
		})
	}
	reads, other := pair(t, "tcp")
	var r Reader
	r.Reset(reads)
	p := make([]byte, 1)
	if n := testing.AllocsPerRun(100, func() { other.Write(p); r.Read(p) }); n > 0 {
		t.Errorf("%v allocations per read", n)
	}
}

// masked is a wrapper that changes what is read.
type masked struct{ *net.TCPConn }

func (m masked) Read(p []byte) (int, error) {
	n, err := m.TCPConn.Read(p)
	for i := range p[:n] {
		p[i] ^= 1
	}
	return n, err
}

// TestWrapper: wrappers are asked, even if they embed a socket.
func TestWrapper(t *testing.T) {
	reads, other := pair(t, "tcp")
	wrapper := masked{reads.(*net.TCPConn)}
	if Socket(wrapper) != nil {
		t.Error("the socket below a wrapper is used")
	}
	var r Reader
	r.Reset(wrapper)
	other.Write([]byte{2})
	p := make([]byte, 1)
	if _, err := r.Read(p); err != nil || p[0] != 3 {
		t.Errorf("%v, %v, want what the wrapper reads", p, err)
	}
}
