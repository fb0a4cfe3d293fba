package zmtp

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/zap"
)

// recordTimeout is for one whole recording.
const recordTimeout = 20 * time.Second

// record plays f with libzmq as the peer and writes what was said to its file.
func record(t *testing.T, f *goldenFlow) {
	t.Helper()
	var listener net.Listener
	if !f.client {
		var err error
		if listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}
	peer := startLibzmq(t, f, listener)
	var conn net.Conn
	var err error
	if f.client {
		conn, err = net.Dial("tcp", strings.TrimPrefix(peer.endpoint, "tcp://"))
	} else {
		conn, err = listener.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(recordTimeout)); err != nil {
		t.Fatal(err)
	}
	w := &recorder{conn: conn}
	if end := f.run(t, w); end != f.end {
		t.Fatalf("the flow ends %q, want %q", end, f.end)
	}
	if diff := cmp.Diff(f.events, peer.stop(t)); diff != "" {
		t.Errorf("libzmq's monitor: %s", diff)
	}
	header := fmt.Sprintf("# %s with libzmq %s as the %s, a %s. golden_test.go tells how to read this.\n",
		f.mechanism, peer.libzmq, map[bool]string{true: "server", false: "client"}[f.client], f.socket)
	if err := os.WriteFile(f.file(), append([]byte(header), w.lines()...), 0o644); err != nil {
		t.Fatal(err)
	}
}

// recorder is a connection that remembers, one line for what one side says in one go.
type recorder struct {
	conn net.Conn
	said []goldenLine
}

func (r *recorder) send(t *testing.T, octets []byte) {
	t.Helper()
	if _, err := r.conn.Write(octets); err != nil {
		t.Fatal(err)
	}
	r.said = append(r.said, goldenLine{ours: true, octets: octets})
}

func (r *recorder) recv(t *testing.T, n int) ([]byte, error) {
	t.Helper()
	octets := make([]byte, n)
	_, err := io.ReadFull(r.conn, octets)
	if err != nil {
		r.said = append(r.said, goldenLine{closed: true})
		return nil, io.EOF
	}
	r.said = append(r.said, goldenLine{octets: bytes.Clone(octets)})
	return octets, nil
}

// lines joins what libzmq said in one go and writes a line for each turn; frames of ours
// have a line each.
func (r *recorder) lines() []byte {
	var b bytes.Buffer
	for i, line := range r.said {
		switch {
		case line.closed:
			b.WriteString("libzmq closed")
		case line.ours:
			b.WriteString("we " + hex.EncodeToString(line.octets))
		case i > 0 && !r.said[i-1].ours:
			b.Truncate(b.Len() - 1)
			b.WriteString(hex.EncodeToString(line.octets))
		default:
			b.WriteString("libzmq " + hex.EncodeToString(line.octets))
		}
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// libzmqPeer is a running testdata/libzmq_peer.py.
type libzmqPeer struct {
	endpoint, libzmq string
	stdin            io.Closer
	answers          *json.Decoder
	cmd              *exec.Cmd
}

func startLibzmq(t *testing.T, f *goldenFlow, listener net.Listener) *libzmqPeer {
	t.Helper()
	spec := map[string]any{
		"role": "client", "mechanism": f.mechanism, "socket": f.socket, "zap": f.zap,
		"traffic": f.end == "done", "user": testUser, "password": testPassword,
	}
	name := "client"
	if f.client {
		spec["role"], name = "server", "server"
	} else {
		spec["endpoint"] = "tcp://" + listener.Addr().String()
	}
	if f.mechanism == zap.CURVE {
		public, secret := goldenKey(t, name)
		server, _ := goldenKey(t, "server")
		spec["public"], spec["secret"], spec["server_key"] = hex.EncodeToString(public[:]), hex.EncodeToString(secret[:]), hex.EncodeToString(server[:])
	}
	argument, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python(t), "testdata/libzmq_peer.py", string(argument))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p := &libzmqPeer{stdin: stdin, answers: json.NewDecoder(bufio.NewReader(stdout)), cmd: cmd}
	var first struct{ Endpoint, Libzmq string }
	if err := p.answers.Decode(&first); err != nil {
		t.Fatal("libzmq's peer did not start: ", err)
	}
	p.endpoint, p.libzmq = first.Endpoint, first.Libzmq
	return p
}

// stop ends the peer and returns what its monitor told.
func (p *libzmqPeer) stop(t *testing.T) []string {
	t.Helper()
	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	var last struct{ Events []string }
	if err := p.answers.Decode(&last); err != nil {
		t.Fatal("libzmq's peer did not end well: ", err)
	}
	return last.Events
}

// python finds one that has pyzmq: Debian's own first, as another may stand before it on
// the PATH. Only recording needs it, and is skipped without.
func python(t *testing.T) string {
	t.Helper()
	for _, path := range []string{"/usr/bin/python3", "python3"} {
		if exec.Command(path, "-c", "import zmq; assert zmq.has('curve')").Run() == nil {
			return path
		}
	}
	t.Skip("no Python with pyzmq and CURVE to record with: apt install python3-zmq")
	return ""
}
