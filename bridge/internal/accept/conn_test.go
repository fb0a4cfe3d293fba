//go:build unix

package accept

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/certs"
	"github.com/zwsbridge/zwsbridge/internal/nonblock"
)

// large is a response that no buffer between server and client holds.
var large = bytes.Repeat([]byte("zwsbridge "), 1<<20)

// serve serves large, also from a file, behind a gate. on returns the listener on top of the gate's.
func serve(t *testing.T, g *Gate, on func(net.Listener) net.Listener) (address string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(file, large, 0o600); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/memory", func(w http.ResponseWriter, r *http.Request) {
		if !Busy(w, r) {
			w.Write(large)
		}
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux}
	g.Serve(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(on(g.Listener(l)))
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return l.Addr().String()
}

func plain(l net.Listener) net.Listener { return l }

// withTLS puts TLS on a listener.
func withTLS(t *testing.T) func(net.Listener) net.Listener {
	t.Helper()
	c, err := certs.SelfSigned(certs.SelfSignedOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return func(l net.Listener) net.Listener { return tls.NewListener(l, c) }
}

// withPROXY has a listener read the PROXY header.
func withPROXY(l net.Listener) net.Listener {
	return ProxyListener(l, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, time.Minute)
}

const proxyHeader = "PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n"

// TestStalled checks that clients that ask and never read are disconnected and give their
// places back, whatever they ask for and whatever is below HTTP, while another client gets
// what it asks for.
func TestStalled(t *testing.T) {
	for _, tt := range []struct {
		name, before, path string
		on                 func(net.Listener) net.Listener
	}{
		{"from memory", "", "/memory", plain},
		{"from a file", "", "/file", plain},
		{"with TLS", "", "/memory", withTLS(t)},
		{"behind a proxy", proxyHeader, "/file", withPROXY},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, r := newGate(Limits{WriteTimeout: 100 * time.Millisecond})
			address := serve(t, g, tt.on)
			const clients = 5
			for range clients {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				io.WriteString(c, tt.before)
				if tt.name == "with TLS" {
					c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
				}
				go io.WriteString(c, strings.Repeat("GET "+tt.path+" HTTP/1.1\r\nHost: x\r\n\r\n", 20))
			}
			for range clients {
				select {
				case <-r.stalls:
				case <-time.After(time.Minute):
					t.Fatal("a client that reads nothing is still connected")
				}
			}
			waitFor(t, g, 0)
		})
	}
}

// waitFor waits until that many connections are open.
func waitFor(t *testing.T, g *Gate, want int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if open, _ := g.Open(); open == want {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%d connections are open, want %d", open, want)
		}
	}
}

// TestSlow checks that a client that reads slowly gets everything, although that takes longer
// than the write timeout: it reads a piece each time that the write has timed out.
func TestSlow(t *testing.T) {
	timeouts, reads := make(chan struct{}, 100), make(chan struct{})
	afterTimeout = func() {
		timeouts <- struct{}{}
		<-reads // the next timeout begins when the client reads
	}
	defer func() { afterTimeout = func() {} }()
	g, r := newGate(Limits{WriteTimeout: 500 * time.Millisecond})
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { // else much of the response is in its buffer
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 64<<10) })
	}}
	c, err := d.Dial("tcp", serve(t, g, plain))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /memory HTTP/1.1\r\nHost: x\r\n\r\n")
	var got bytes.Buffer
	for range 2 {
		select {
		case <-timeouts:
		case <-r.stalls:
			t.Fatal("the client was disconnected")
		case <-time.After(time.Minute):
			t.Fatal("no write has timed out")
		}
		if _, err := io.CopyN(&got, c, 32<<10); err != nil {
			t.Fatal(err)
		}
		reads <- struct{}{}
		if _, err := io.CopyN(&got, c, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	close(reads)
	resp, err := http.ReadResponse(bufio.NewReader(io.MultiReader(&got, c)), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(body, large) {
		t.Errorf("%d bytes and %v, want %d", len(body), err, len(large))
	}
}

// TestBusy checks that a client beyond the limits is told so by HTTP, that its connection is
// then closed, and that idle connections of others give way.
func TestBusy(t *testing.T) {
	g, _ := newGate(Limits{Connections: 1, WriteTimeout: time.Minute})
	address := serve(t, g, plain)
	ask := func(c net.Conn) (status int) {
		t.Helper()
		io.WriteString(c, "GET /memory HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	silent := dial()
	waitFor(t, g, 1)
	beyond := dial()
	if got := ask(beyond); got != http.StatusServiceUnavailable {
		t.Errorf("beyond the limit: %d", got)
	}
	if _, err := beyond.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
	silent.Close()
	waitFor(t, g, 0)
	idle := dial()
	if got := ask(idle); got != http.StatusOK {
		t.Errorf("the first client: %d", got)
	}
	waitIdle(t, g)
	if got := ask(dial()); got != http.StatusOK {
		t.Errorf("beside an idle connection: %d", got)
	}
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("the idle connection is still open")
	}
}

// waitIdle waits until a connection is idle.
func waitIdle(t *testing.T, g *Gate) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		g.mu.Lock()
		n := g.idle.Len()
		g.mu.Unlock()
		if n > 0 {
			return
		} else if time.Now().After(deadline) {
			t.Fatal("no connection is idle")
		}
	}
}

// TestDeadlineOfProgram checks that a deadline that the program sets counts instead of the
// gate's.
func TestDeadlineOfProgram(t *testing.T) {
	g, r := newGate(Limits{WriteTimeout: time.Millisecond})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l = g.Listener(l)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(time.Hour))
	written := make(chan error, 1)
	go func() {
		_, err := c.Write(large)
		written <- err
	}()
	if _, err := io.ReadFull(client, make([]byte, len(large))); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil || len(r.stalls) > 0 {
		t.Errorf("%v, %d stalls", err, len(r.stalls))
	}
	c.SetWriteDeadline(time.Time{})
	if _, err := c.Write(bytes.Repeat(large, 5)); err == nil || len(r.stalls) != 1 {
		t.Errorf("without the deadline: %v, %d stalls", err, len(r.stalls))
	}
}

// TestSocket: the socket of a connection can be used without the connection's own Write.
func TestSocket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if wrapped := (&Conn{TCPConn: client.(*net.TCPConn)}); runtime.GOOS == "linux" && nonblock.Socket(wrapped) == nil {
		t.Error("package nonblock does not know the socket of a Conn")
	}
}
