package zmtp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
)

// The files in testdata/golden are recordings of the bytes that this package ("we") and libzmq
// 4.3.4 sent to each other. The test replays libzmq's part and checks that this package sends
// the same bytes as in the recording, which is possible because its keys and its randomness
// come from goldenRandom. "go test -run Golden -update" makes new recordings; it needs Python
// with pyzmq.
var update = flag.Bool("update", false, "record testdata/golden with libzmq as the peer")

// goldenRandom is a reproducible stream of bytes. Each block is the SHA-256 of the label, ":"
// and a decimal counter.
type goldenRandom struct {
	label string
	n     int
	rest  []byte
}

func (r *goldenRandom) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s:%d", r.label, r.n))
		r.rest = sum[:]
		r.n++
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// goldenKey returns a long-term key pair whose secret key is the first block of "key NAME".
func goldenKey(t *testing.T, name string) (public, secret [32]byte) {
	t.Helper()
	public, secret, err := newKeyPair(&goldenRandom{label: "key " + name})
	if err != nil {
		t.Fatal(err)
	}
	return public, secret
}

// goldenFlow describes one recording: the two sides and the expected end.
type goldenFlow struct {
	name      string
	mechanism zap.Mechanism
	client    bool       // this package is the client, libzmq the server
	socket    SocketType // of libzmq
	zap       zap.Status // of the reply of the server's ZAP handler, in either side
	wrongKey  bool       // the client uses another server key
	specified bool       // the PLAIN server sends ERROR as in 23/ZMTP, not as in libzmq
	end       string     // how it ends for this package
	events    []string   // of libzmq's monitor
}

var (
	succeeded = []string{"succeeded"}
	failed400 = []string{"failed auth 400"}
)

var goldenFlows = []goldenFlow{
	{name: "null-client", mechanism: zap.NULL, client: true, socket: ROUTER, zap: 200, end: "done", events: succeeded},
	{name: "null-client-refused", mechanism: zap.NULL, client: true, socket: ROUTER, zap: 400, end: "refused 400", events: failed400},
	{name: "plain-client", mechanism: zap.PLAIN, client: true, socket: ROUTER, zap: 200, end: "done", events: succeeded},
	{name: "plain-client-refused", mechanism: zap.PLAIN, client: true, socket: ROUTER, zap: 400, end: "refused 400", events: failed400},
	{name: "plain-client-refused-500", mechanism: zap.PLAIN, client: true, socket: ROUTER, zap: 500, end: "refused 500", events: []string{"failed auth 500"}},
	{name: "curve-client", mechanism: zap.CURVE, client: true, socket: ROUTER, zap: 200, end: "done", events: succeeded},
	{name: "curve-client-refused", mechanism: zap.CURVE, client: true, socket: ROUTER, zap: 400, end: "refused 400", events: failed400},
	{name: "curve-client-wrong-server-key", mechanism: zap.CURVE, client: true, socket: ROUTER, zap: 200, wrongKey: true, end: "closed", events: []string{"failed protocol"}},
	{name: "null-server", mechanism: zap.NULL, socket: DEALER, zap: 200, end: "done", events: succeeded},
	{name: "null-server-refused", mechanism: zap.NULL, socket: DEALER, zap: 400, end: "refused 400", events: failed400},
	{name: "plain-server", mechanism: zap.PLAIN, socket: DEALER, zap: 200, end: "done", events: succeeded},
	{name: "plain-server-refused", mechanism: zap.PLAIN, socket: DEALER, zap: 400, end: "refused 400", events: failed400},
	{name: "plain-server-refused-as-specified", mechanism: zap.PLAIN, socket: DEALER, zap: 400, specified: true, end: "refused 400", events: []string{"failed protocol"}},
	{name: "curve-server", mechanism: zap.CURVE, socket: DEALER, zap: 200, end: "done", events: succeeded},
	{name: "curve-server-refused", mechanism: zap.CURVE, socket: DEALER, zap: 400, end: "refused 400", events: failed400},
	{name: "curve-server-sub", mechanism: zap.CURVE, socket: SUB, zap: 200, end: "done", events: succeeded},
}

func (f *goldenFlow) file() string { return filepath.Join("testdata", "golden", f.name+".txt") }

// side returns the side of this package, the same each time.
func (f *goldenFlow) side(t *testing.T) Mechanism {
	t.Helper()
	random := &goldenRandom{label: f.name}
	var m Mechanism
	var err error
	if f.client {
		var s ClientSecurity = Null{}
		switch f.mechanism {
		case zap.PLAIN:
			s = Plain{User: testUser, Password: testPassword}
		case zap.CURVE:
			c := Curve{Rand: random}
			c.Public, c.Secret = goldenKey(t, "client")
			c.ServerKey, _ = goldenKey(t, "server")
			if f.wrongKey {
				c.ServerKey, _ = goldenKey(t, "other server")
			}
			s = c
		}
		m, err = s.NewClient(dealer)
	} else {
		s := ServerSecurity{Domain: testDomain, Address: testAddress, Local: f.local(), LibzmqError: !f.specified, Rand: random,
			Handler: zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
				return &zap.Reply{Status: f.zap}, nil
			})}
		s.CurvePublic, s.CurveSecret = goldenKey(t, "server")
		m, err = NewServer(f.mechanism, s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// local returns the metadata of a server side of this package.
func (f *goldenFlow) local() zap.Metadata {
	if f.socket == SUB {
		return zap.Metadata{{Name: "Socket-Type", Value: "XPUB"}}
	}
	return router
}

// goldenWire is a connection to libzmq, or a recording of one.
type goldenWire interface {
	send(t *testing.T, b []byte)
	recv(t *testing.T, n int) ([]byte, error) // io.EOF: libzmq has closed the connection
}

// run runs the side of this package and returns how it ended.
func (f *goldenFlow) run(t *testing.T, w goldenWire) string {
	t.Helper()
	w.send(t, f.greeting())
	if _, err := w.recv(t, 64); err != nil {
		t.Fatal("no greeting: ", err)
	}
	side := f.side(t)
	out, err := side.Next(t.Context(), nil)
	for {
		if out != nil {
			w.send(t, goldenFrame(4, out.Append(nil)))
		}
		if err != nil || side.Done() {
			break
		}
		flags, body, readErr := goldenRead(t, w)
		if errors.Is(readErr, io.EOF) {
			return "closed"
		}
		in, parseErr := ParseCommand(body)
		if parseErr != nil || flags != 4 {
			t.Fatalf("not a command: flags %x, %v", flags, parseErr)
		}
		out, err = side.Next(t.Context(), &in)
	}
	if refusal, ok := errors.AsType[*RefusedError](err); ok {
		return fmt.Sprintf("refused %d", refusal.Status)
	}
	if err != nil {
		return err.Error()
	}
	f.traffic(t, w, side)
	return "done"
}

// traffic runs after a successful handshake: the client sends a message of two frames and
// receives it back, or subscribes and receives a message.
func (f *goldenFlow) traffic(t *testing.T, w goldenWire, side Mechanism) {
	t.Helper()
	send := func(frames ...Frame) {
		for _, frame := range frames {
			encoded, err := side.Encode(frame)
			if err != nil {
				t.Fatal(err)
			}
			w.send(t, goldenFrame(flagsOnTheWire(encoded), encoded.Body))
		}
	}
	recv := func(want ...Frame) {
		for _, want := range want {
			flags, body, err := goldenRead(t, w)
			if err != nil {
				t.Fatal(err)
			}
			got, err := side.Decode(Frame{More: flags&1 != 0, Command: flags&4 != 0, Body: body})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("libzmq's frame: %s", diff)
			}
		}
	}
	message := []Frame{{More: true, Body: []byte("state")}, {Body: []byte("on")}}
	switch {
	case f.client:
		send(message...)
		recv(message...)
	case f.socket == SUB:
		recv(Frame{Command: true, Body: Command{cmdSubscribe, []byte("house/")}.Append(nil)})
		send(Frame{More: true, Body: []byte("house/anna")}, Frame{Body: []byte("21.5")})
	default:
		recv(message...)
		send(message...)
	}
}

func flagsOnTheWire(f Frame) byte {
	if f.More {
		return 1
	}
	return 0
}

// greeting returns a greeting of ZMTP 3.1.
func (f *goldenFlow) greeting() []byte {
	g := make([]byte, 64)
	g[0], g[8], g[9], g[10], g[11] = 0xFF, 1, 0x7F, 3, 1
	copy(g[12:32], f.mechanism)
	if !f.client && f.mechanism != zap.NULL {
		g[32] = 1
	}
	return g
}

func goldenFrame(flags byte, body []byte) []byte {
	if len(body) > 255 {
		return append(binary.BigEndian.AppendUint64([]byte{flags | 2}, uint64(len(body))), body...)
	}
	return append([]byte{flags, byte(len(body))}, body...)
}

// goldenRead reads a frame. It removes LONG from the flags.
func goldenRead(t *testing.T, w goldenWire) (flags byte, body []byte, err error) {
	t.Helper()
	head, err := w.recv(t, 2)
	if err != nil {
		return 0, nil, err
	}
	size := int(head[1])
	if head[0]&2 != 0 {
		rest, err := w.recv(t, 7)
		if err != nil {
			return 0, nil, err
		}
		size = int(binary.BigEndian.Uint64(append(head[1:2:2], rest...)))
	}
	if body, err = w.recv(t, size); err != nil {
		return 0, nil, err
	}
	return head[0] &^ 2, body, nil
}

// goldenLine is one line of a recording: the sender and the bytes.
type goldenLine struct {
	sent   bool // by this package
	data   []byte
	closed bool
}

// replay is a recording that is replayed.
type replay struct {
	lines  []goldenLine
	unread []byte
}

func (r *replay) send(t *testing.T, b []byte) {
	t.Helper()
	if len(r.unread) != 0 || len(r.lines) == 0 || !r.lines[0].sent {
		t.Fatalf("sent %x, but in the recording it is libzmq's turn", b)
	}
	if want := r.lines[0].data; !bytes.Equal(b, want) {
		t.Fatalf("sent\n%x, the recording has\n%x", b, want)
	}
	r.lines = r.lines[1:]
}

func (r *replay) recv(t *testing.T, n int) ([]byte, error) {
	t.Helper()
	for len(r.unread) < n {
		switch {
		case len(r.lines) == 0 || r.lines[0].sent:
			t.Fatal("waiting for libzmq, but in the recording it is this side's turn")
		case r.lines[0].closed:
			return nil, io.EOF
		}
		r.unread = append(r.unread, r.lines[0].data...)
		r.lines = r.lines[1:]
	}
	b := r.unread[:n:n]
	r.unread = r.unread[n:]
	return b, nil
}

func readGolden(t *testing.T, f *goldenFlow) *replay {
	t.Helper()
	file, err := os.Open(f.file())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := &replay{}
	for s := bufio.NewScanner(file); s.Scan(); {
		sender, text, ok := strings.Cut(s.Text(), " ")
		if !ok || sender == "#" {
			continue
		}
		line := goldenLine{sent: sender == "we", closed: text == "closed"}
		if !line.closed {
			if line.data, err = hex.DecodeString(text); err != nil {
				t.Fatal(err)
			}
		}
		r.lines = append(r.lines, line)
	}
	return r
}

func TestGolden(t *testing.T) {
	for i := range goldenFlows {
		f := &goldenFlows[i]
		t.Run(f.name, func(t *testing.T) {
			if *update {
				record(t, f)
			}
			r := readGolden(t, f)
			if len(r.lines) < 3 {
				t.Fatalf("the recording has %d lines", len(r.lines))
			}
			if end := f.run(t, r); end != f.end {
				t.Errorf("the flow ends %q, want %q", end, f.end)
			}
			if len(r.unread) != 0 || len(r.lines) > 1 || len(r.lines) == 1 && !r.lines[0].closed {
				t.Errorf("%d lines of the recording are left", len(r.lines))
			}
		})
	}
	files, err := filepath.Glob(filepath.Join("testdata", "golden", "*.txt"))
	if err != nil || len(files) != len(goldenFlows) {
		t.Errorf("%d recordings for %d flows (%v)", len(files), len(goldenFlows), err)
	}
}
