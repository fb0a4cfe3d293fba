package zws_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// TestHandshakeFaults: a request that is not a WebSocket handshake (RFC 6455, section 4.2.1)
// is answered by HTTP, also for a client that is refused anyway.
func TestHandshakeFaults(t *testing.T) {
	const (
		key     = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		version = "Sec-WebSocket-Version: 13\r\n"
		start   = "GET / HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: WSNetMQ\r\n"
	)
	serving := serve(t, options(), plain)
	refusing := refuseAll(t, &zws.CloseError{Code: zws.CodeNoRoute, Reason: "unknown route"})
	for _, test := range []struct {
		name, request string
		status        int
		text          string
	}{
		{"correct", start + key + version + "\r\n", 101, ""},
		{"lists", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, WebSocket\r\nConnection: keep-alive, upgrade\r\n" + key + version + "Content-Length: 0\r\n\r\n", 101, ""},
		{"HTTP/1.0", strings.Replace(start, "1.1", "1.0", 1) + key + version + "\r\n", 400, "a WebSocket handshake needs HTTP/1.1 or later"},
		{"two versions", start + key + "Sec-WebSocket-Version: 13,8\r\n\r\n", 400, "Sec-WebSocket-Version must be there once and be 13"},
		{"version twice", start + key + version + version + "\r\n", 400, "Sec-WebSocket-Version must be there once and be 13"},
		{"version 8", start + key + "Sec-WebSocket-Version: 8\r\n\r\n", 400, "Sec-WebSocket-Version must be there once and be 13"},
		{"no version", start + key + "\r\n", 400, "Sec-WebSocket-Version must be there once and be 13"},
		{"two keys", start + key + key + version + "\r\n", 400, "Sec-WebSocket-Key must be there once"},
		{"no key", start + version + "\r\n", 400, "Sec-WebSocket-Key must be there once"},
		{"body", start + key + version + "Content-Length: 4\r\n\r\nbody", 400, "a WebSocket handshake has no body"},
		{"body in chunks", start + key + version + "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", 400, "a WebSocket handshake has no body"},
		{"early frame", start + key + version + "\r\n" + string(frame(0x82, "\x00early")), 400, "data was sent before the answer to the WebSocket handshake"},
		{"early request", start + key + version + "\r\nGET / HTTP/1.1\r\n\r\n", 400, "data was sent before the answer to the WebSocket handshake"},
		{"POST", "POST" + start[3:] + key + version + "\r\n", 405, ""},
	} {
		for name, s := range map[string]*server{"serving": serving, "refusing": refusing} {
			t.Run(test.name+" "+name, func(t *testing.T) {
				conn, err := net.Dial("tcp", s.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				io.WriteString(conn, test.request)
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				text := ""
				if answer.StatusCode != 101 {
					p, _ := io.ReadAll(answer.Body)
					text = strings.TrimSpace(string(p))
				}
				if answer.StatusCode != test.status || test.text != "" && text != test.text {
					t.Errorf("answered %d %q, want %d %q", answer.StatusCode, text, test.status, test.text)
				}
			})
		}
	}
}

// hostile is a server that answers every connection with what serve writes after the request.
func hostile(t *testing.T, serve func(conn net.Conn, accept string)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				serve(conn, r.Header.Get("Sec-Websocket-Key"))
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "ws://" + l.Addr().String()
}

// TestDialEndlessHeaders: a server's answer has a limit, whatever part of it does not end. The
// server notices because the client closes the connection.
func TestDialEndlessHeaders(t *testing.T) {
	for name, parts := range map[string][2]string{
		"headers":       {"HTTP/1.1 101 Switching Protocols\r\n", "X-Endless: yes\r\n"},
		"one header":    {"HTTP/1.1 101 Switching Protocols\r\nX-Endless: ", "0123456789"},
		"status line":   {"HTTP/1.1 101 ", "0123456789"},
		"no line":       {"", "0123456789"},
		"continuations": {"HTTP/1.1 101 Switching Protocols\r\nX-Endless: yes\r\n", " and more\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			sent := make(chan int, 2)
			url := hostile(t, func(conn net.Conn, _ string) {
				n, _ := io.WriteString(conn, parts[0])
				chunk := []byte(strings.Repeat(parts[1], 100))
				for {
					m, err := conn.Write(chunk)
					if n += m; err != nil {
						sent <- n
						return
					}
				}
			})
			for _, dial := range []func() error{
				func() error {
					_, err := zws.Dial(t.Context(), url, zws.DialOptions{SocketType: zmtp.SUB})
					return err
				},
				func() error {
					_, err := zws.DialMux(t.Context(), url, zws.DialOptions{})
					return err
				},
			} {
				start := time.Now()
				err := dial()
				if !errors.Is(err, zws.ErrUpgrade) || !strings.Contains(err.Error(), "longer than 16384 bytes") || time.Since(start) > 5*time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				if n := <-sent; n > 16<<20 { // what the buffers of the two sockets take
					t.Errorf("the server could send %d bytes", n)
				}
			}
		})
	}
}

// TestDialLongHeaders: headers of any usual length are accepted.
func TestDialLongHeaders(t *testing.T) {
	for _, secure := range []bool{false, true} {
		start := plain
		o := zws.DialOptions{SocketType: zmtp.DEALER}
		if secure {
			start = tls
		}
		s := serve(t, options(), start)
		inner := s.Config.Handler
		s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/long" { // refused, with the status that the client shows
				w.Header().Set("X-Long", strings.Repeat("x", 15<<10))
				w.WriteHeader(http.StatusTeapot)
				return
			}
			inner.ServeHTTP(w, r)
		})
		if secure {
			o.TLS = s.Client().Transport.(*transport).TLSClientConfig
		}
		c, err := zws.Dial(t.Context(), s.url(), o)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if _, err := zws.Dial(t.Context(), s.url()+"/long", o); err == nil || !strings.Contains(err.Error(), "418") {
			t.Errorf("secure %v: %v", secure, err)
		}
	}
}

// TestServerDoesNotEndMessage: the client gives up a server that begins a message and does not
// end it, whatever it sends meanwhile. Between messages a server can be silent, or send pings
// only, for as long as it wants.
func TestServerDoesNotEndMessage(t *testing.T) {
	for _, test := range []struct {
		name   string
		begin  string
		pieces string // one in 10 seconds
		closed bool
	}{
		{"nothing", "", "", false},
		{"pings between messages", "", "\x89\x00", false},
		{"fragment", "\x02\x01\x00", "", true},
		{"pings between fragments", "\x02\x01\x00", "\x89\x00", true},
		{"empty fragments", "\x02\x01\x00", "\x00\x00", true},
		{"slow frame", "\x82\x7e\xff\xff\x00", "m", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, conn := net.Pipe()
				o := options()
				o.PingInterval = -1
				go func() {
					r := bufio.NewReader(conn)
					request, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					pending, err := zws.Accept(t.Context(), pipeWriter{conn: conn, r: r}, request, o)
					if err != nil {
						return
					}
					pending.Accept(zws.AcceptOptions{})
				}()
				c, err := zws.Dial(t.Context(), "ws://example.org/", zws.DialOptions{
					SocketType: zmtp.DEALER,
					NetDial:    func(context.Context, string, string) (net.Conn, error) { return client, nil },
				})
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() {
					_, err := c.Recv(context.Background())
					ended <- err
				}()
				go io.Copy(io.Discard, conn)
				go io.WriteString(conn, test.begin)
				start := time.Now()
				for range 30 {
					time.Sleep(10 * time.Second)
					go io.WriteString(conn, test.pieces)
				}
				synctest.Wait()
				select {
				case err := <-ended:
					if !test.closed || zws.Cause(err).Code != 4408 {
						t.Errorf("%v", err)
					}
				default:
					if test.closed {
						t.Errorf("waits after %v", time.Since(start))
					}
				}
				c.Close()
				conn.Close()
			})
		})
	}
}
