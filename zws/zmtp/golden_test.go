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

// The flows in testdata/golden are what libzmq 4.3.4 and we said to each other, octet by
// octet. The test replays them: it plays libzmq's part from the file and wants our side to
// say the very same as then, which it can because all its keys and all its randomness come
// out of goldenRandom. "go test -run Golden -update" records them anew; that needs Python
// with pyzmq.
var update = flag.Bool("update", false, "record testdata/golden anew, with libzmq as the peer")

// goldenRandom is a stream of octets that anybody can make: SHA-256 over label, ":" and a
// counter in decimal, block after block.
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

// goldenKey is a long-term key pair: its secret key is the first block of "key NAME".
func goldenKey(t *testing.T, name string) (public, secret [32]byte) {
	t.Helper()
	public, secret, err := newKeyPair(&goldenRandom{label: "key " + name})
	if err != nil {
		t.Fatal(err)
	}
	return public, secret
}

// goldenFlow is one recording: who plays which part, and how it ends.
type goldenFlow struct {
	name      string
	mechanism zap.Mechanism
	client    bool       // we are the client, libzmq the server
	socket    SocketType // libzmq's
	zap       zap.Status // what the handler of the server, ours or libzmq's, answers
	wrongKey  bool       // the client has another server key than the server
	specified bool       // our PLAIN server sends ERROR as 23/ZMTP has it, not as libzmq
	end       string     // how it ends for us
	events    []string   // what libzmq's monitor tells
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

// side makes our side, the same each time.
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

// local is what our server side tells of itself.
func (f *goldenFlow) local() zap.Metadata {
	if f.socket == SUB {
		return zap.Metadata{{Name: "Socket-Type", Value: "XPUB"}}
	}
	return router
}

// goldenWire is the connection to libzmq, or the recording of one.
type goldenWire interface {
	send(t *testing.T, octets []byte)
	recv(t *testing.T, n int) ([]byte, error) // io.EOF: libzmq has closed the connection
}

// run plays our part of f and tells how it ended.
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
			t.Fatalf("no command: flags %x, %v", flags, parseErr)
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

// traffic follows a handshake that has succeeded: a message of two frames from the client
// and back again, or a subscription and a message to it.
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

// greeting is ours: ZMTP 3.1, all at once.
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

// goldenRead reads a frame; of its flags it leaves LONG out.
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

// goldenLine is one line of a recording: who spoke, and what.
type goldenLine struct {
	ours   bool
	octets []byte
	closed bool
}

// replay is a recording that is played back.
type replay struct {
	lines  []goldenLine
	unread []byte
}

func (r *replay) send(t *testing.T, octets []byte) {
	t.Helper()
	if len(r.unread) != 0 || len(r.lines) == 0 || !r.lines[0].ours {
		t.Fatalf("we say %x where in the recording it is libzmq's turn", octets)
	}
	if want := r.lines[0].octets; !bytes.Equal(octets, want) {
		t.Fatalf("we say\n%x, in the recording\n%x", octets, want)
	}
	r.lines = r.lines[1:]
}

func (r *replay) recv(t *testing.T, n int) ([]byte, error) {
	t.Helper()
	for len(r.unread) < n {
		switch {
		case len(r.lines) == 0 || r.lines[0].ours:
			t.Fatal("we wait for libzmq where in the recording it is our turn")
		case r.lines[0].closed:
			return nil, io.EOF
		}
		r.unread = append(r.unread, r.lines[0].octets...)
		r.lines = r.lines[1:]
	}
	octets := r.unread[:n:n]
	r.unread = r.unread[n:]
	return octets, nil
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
		who, what, ok := strings.Cut(s.Text(), " ")
		if !ok || who == "#" {
			continue
		}
		line := goldenLine{ours: who == "we", closed: what == "closed"}
		if !line.closed {
			if line.octets, err = hex.DecodeString(what); err != nil {
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
				t.Fatalf("a recording of %d lines", len(r.lines))
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
