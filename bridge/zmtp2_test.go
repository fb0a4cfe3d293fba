package bridge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// older is a peer of ZMTP 2.0 (15/ZMTP), which greets in steps as libzmq 3.2 does.
type older struct {
	t  *testing.T
	nc net.Conn
	r  *bufio.Reader
}

// greetOlder exchanges greetings. The peer must be of type theirs and have no routing id.
func greetOlder(t *testing.T, nc net.Conn, socketType, theirs byte) *older {
	t.Helper()
	p := &older{t, nc, bufio.NewReader(nc)}
	t.Cleanup(func() { nc.Close() })
	p.write("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f")
	if got := p.read(10); got[0] != 0xff || got[9]&1 != 1 {
		t.Errorf("signature % x", got)
	}
	p.write("\x01")
	if got := p.read(1); got[0] == 0 { // a revision of at least 1: 2.0 framing
		t.Errorf("revision % x", got)
	}
	p.write(string(socketType) + "\x00\x03old")
	if got := p.read(3); got[0] != theirs || got[1] != 0 || got[2] != 0 {
		t.Errorf("socket type and routing id % x, want %d and none", got, theirs)
	}
	return p
}

func (p *older) write(s string) {
	p.t.Helper()
	_, err := io.WriteString(p.nc, s)
	must(p.t, err)
}

func (p *older) read(n int) []byte {
	p.t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(p.r, b)
	must(p.t, err)
	return b
}

// send sends frames of less than 256 bytes.
func (p *older) send(frames ...string) {
	p.t.Helper()
	for i, f := range frames {
		p.write(string(zmtp.AppendFrame(nil, zmtp.Frame{More: i < len(frames)-1, Body: []byte(f)})))
	}
}

// next returns the next frame of less than 256 bytes, as on the wire.
func (p *older) next() string {
	p.t.Helper()
	head := p.read(2)
	return string(head) + string(p.read(int(head[1])))
}

// TestZMTP2Backend has backends that speak ZMTP 2.0 at an endpoint that the bridge connects to, and
// at one where it listens.
func TestZMTP2Backend(t *testing.T) {
	for _, tc := range []struct {
		socket               zmtp.SocketType
		client               zmtp.SocketType
		theirs, ours         byte
		toBackend, toClient  []string // what the client and the backend send
		atBackend            string
		toBackendBeforeReply bool
	}{
		{zmtp.SUB, zmtp.SUB, 1, 2, []string{"\x01a"}, []string{"a/1", "x"}, "\x00\x02\x01a", true},
		{zmtp.PUB, zmtp.PUB, 2, 1, []string{"a/1"}, []string{"\x01a"}, "\x00\x03a/1", false},
		{zmtp.PULL, zmtp.PULL, 8, 7, nil, []string{"job"}, "", true},
		{zmtp.PUSH, zmtp.PUSH, 7, 8, []string{"job"}, nil, "\x00\x03job", true},
	} {
		for _, bind := range []bool{false, true} {
			t.Run(fmt.Sprint(tc.socket, " bind ", bind), func(t *testing.T) {
				greeted := make(chan *older, 1)
				var url string
				if bind {
					endpoint := unusedEndpoint(t)
					url, _ = start(t, bindConfig(tc.socket, endpoint, "zmtp2 = true\n"))
					nc, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "tcp://"))
					must(t, err)
					greeted <- greetOlder(t, nc, tc.theirs, tc.ours)
				} else {
					l, err := net.Listen("tcp", "127.0.0.1:0")
					must(t, err)
					defer l.Close()
					url, _ = start(t, usersOnly+routeTo("/d", tc.socket, "tcp://"+l.Addr().String(), "zmtp2 = true"))
					go func() {
						defer close(greeted) // also if greetOlder fails
						if nc, err := l.Accept(); err == nil {
							greeted <- greetOlder(t, nc, tc.theirs, tc.ours)
						}
					}()
				}
				c := connect(t, url+"/d", plainLogin("alice", tc.client))
				backend := <-greeted
				if backend == nil {
					t.FailNow()
				}
				toBackend := func() {
					if tc.toBackend == nil {
						return
					}
					must(t, c.Send(t.Context(), message(tc.toBackend...)))
					if got := backend.next(); got != tc.atBackend {
						t.Errorf("the backend got %q, want %q", got, tc.atBackend)
					}
				}
				if tc.toBackendBeforeReply {
					toBackend()
				}
				if tc.toClient != nil {
					backend.send(tc.toClient...)
					m, err := c.Recv(t.Context())
					must(t, err)
					wantFrames(t, texts(m), tc.toClient...)
				}
				if !tc.toBackendBeforeReply {
					toBackend()
				}
			})
		}
	}
}

// TestZMTP2NotAsked checks that without zmtp2 such a backend is refused, and the client told so.
func TestZMTP2NotAsked(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(nc, "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x01\x00\x00")
		}
	}()
	url, _ := start(t, usersOnly+routeTo("/d", "SUB", "tcp://"+l.Addr().String()))
	if got := refusal(t, url+"/d", plainLogin("alice", zmtp.SUB)); got.Code != 4502 || !strings.Contains(got.Reason, "older than 3.0") {
		t.Errorf("%v, want 4502 with the version", got)
	}
}
