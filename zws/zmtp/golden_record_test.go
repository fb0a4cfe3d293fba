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

// recordTimeout limits one recording.
const recordTimeout = 20 * time.Second

// record runs f with libzmq as the peer and writes the recording.
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
	header := fmt.Sprintf("# %s with libzmq %s as the %s, a %s. See golden_test.go for the format.\n",
		f.mechanism, peer.libzmq, map[bool]string{true: "server", false: "client"}[f.client], f.socket)
	if err := os.WriteFile(f.file(), append([]byte(header), w.bytes()...), 0o644); err != nil {
		t.Fatal(err)
	}
}

// recorder is a connection that records what is sent and received.
type recorder struct {
	conn  net.Conn
	lines []goldenLine
}

func (r *recorder) send(t *testing.T, b []byte) {
	t.Helper()
	if _, err := r.conn.Write(b); err != nil {
		t.Fatal(err)
	}
	r.lines = append(r.lines, goldenLine{sent: true, data: b})
}

func (r *recorder) recv(t *testing.T, n int) ([]byte, error) {
	t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(r.conn, b)
	if err != nil {
		r.lines = append(r.lines, goldenLine{closed: true})
		return nil, io.EOF
	}
	r.lines = append(r.lines, goldenLine{data: bytes.Clone(b)})
	return b, nil
}

// bytes returns the content of the file: a line for every frame of this package, and a line
// for everything that libzmq sent between two of them.
func (r *recorder) bytes() []byte {
	var b bytes.Buffer
	for i, line := range r.lines {
		switch {
		case line.closed:
			b.WriteString("libzmq closed")
		case line.sent:
			b.WriteString("we " + hex.EncodeToString(line.data))
		case i > 0 && !r.lines[i-1].sent:
			b.Truncate(b.Len() - 1)
			b.WriteString(hex.EncodeToString(line.data))
		default:
			b.WriteString("libzmq " + hex.EncodeToString(line.data))
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

// stop ends the peer and returns the events of its monitor.
func (p *libzmqPeer) stop(t *testing.T) []string {
	t.Helper()
	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	var last struct{ Events []string }
	if err := p.answers.Decode(&last); err != nil {
		t.Fatal("libzmq's peer did not report its events: ", err)
	}
	return last.Events
}

// python returns a Python that has pyzmq. It tries Debian's first, because another can precede
// it in PATH. Without one the test is skipped; only recording needs it.
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
