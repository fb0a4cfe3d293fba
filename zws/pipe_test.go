package zws_test

import (
	"bufio"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
)

// pipeWriter is the http.ResponseWriter of a request over net.Pipe, for tests in a synctest
// bubble.
type pipeWriter struct {
	http.ResponseWriter
	conn net.Conn
	r    *bufio.Reader
}

func (w pipeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(w.r, bufio.NewWriter(w.conn)), nil
}

// acceptPipe accepts one client over net.Pipe.
func acceptPipe(t *testing.T, o zws.Options, header ...string) (*raw, <-chan accepted) {
	return acceptPipeWith(t, o, accept, header...)
}

func acceptPipeAt(t *testing.T, o zws.Options, target string, header ...string) (*raw, <-chan accepted) {
	return acceptPipeTo(t, o, accept, target, header...)
}

func acceptPipeWith(t *testing.T, o zws.Options, d decide, header ...string) (*raw, <-chan accepted) {
	return acceptPipeTo(t, o, d, "/", header...)
}

func acceptPipeTo(t *testing.T, o zws.Options, d decide, target string, header ...string) (*raw, <-chan accepted) {
	client, conn := net.Pipe()
	done := make(chan accepted, 1)
	go func() {
		defer close(done)
		r := bufio.NewReader(conn)
		request, err := http.ReadRequest(r)
		if err != nil {
			done <- accepted{err: err}
			return
		}
		conn, err := d.login(t.Context(), pipeWriter{conn: conn, r: r}, request, o)
		done <- accepted{conn, err}
	}()
	p := upgradeRaw(t, client, target, header...)
	p.patience = 24 * time.Hour
	return p, done
}
