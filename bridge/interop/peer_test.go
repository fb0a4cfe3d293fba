//go:build interop

package interop

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a test waits for anything that a peer should do. Nothing is
// measured by it: it only ends a test that would hang.
const patience = 60 * time.Second

// missing names the peers that could not be installed, as the script run tells: npm,
// python3-zmq, chromium, nginx, rabbitmq-server.
const missing = "ZWSBRIDGE_INTEROP_MISSING"

// need skips a test whose peers could not be installed. run has said so by name, and it
// fails for it where CI=true; without its word, everything is expected to be there.
func need(t *testing.T, peers ...string) {
	t.Helper()
	for _, peer := range peers {
		if slices.Contains(strings.Fields(os.Getenv(missing)), peer) {
			t.Skipf("%s is not installed", peer)
		}
	}
}

// order is one line to a peer.
type order struct {
	Do        string         `json:"do"`
	Socket    int            `json:"socket"`
	Type      string         `json:"type,omitempty"`
	Connect   string         `json:"connect,omitempty"`
	Bind      string         `json:"bind,omitempty"`
	Subscribe []string       `json:"subscribe,omitempty"`
	Options   map[string]any `json:"options,omitempty"`
	Frames    []string       `json:"frames,omitempty"`
}

// event is one line from a peer.
type event struct {
	Socket   int      `json:"socket"`
	Event    string   `json:"event"`
	Endpoint string   `json:"endpoint"`
	Frames   []string `json:"frames"`
	Status   int      `json:"status"`
	Error    string   `json:"error"`
	// Of a ZAP handler and what it was asked.
	Mechanism string `json:"mechanism"`
	Domain    string `json:"domain"`
	Address   string `json:"address"`
	// Of a WebSocket in a browser.
	Protocol string `json:"protocol"`
	Code     int    `json:"code"`
	Reason   string `json:"reason"`
	ZMTP     string `json:"zmtp"`
}

// process is a running peer.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser

	mu      sync.Mutex
	sockets []*socket
	ended   chan struct{} // closed when its output has ended
}

// socket is one of a peer's sockets.
type socket struct {
	t       *testing.T
	process *process
	number  int
	events  chan event
	// endpoint is where it is bound.
	endpoint string
	// passing are events that prove nothing here.
	passing []string
}

// python is Debian's own, which has Debian's python3-zmq, and not another that may stand
// before it on the PATH.
func python() string {
	if p := os.Getenv("PYTHON"); p != "" {
		return p
	}
	return "/usr/bin/python3"
}

// start runs a peer until the test has ended.
func start(t *testing.T, script string, args ...string) *process {
	t.Helper()
	interpreter := "node"
	if strings.HasSuffix(script, ".py") {
		interpreter = python()
	}
	p := &process{t: t, cmd: exec.Command(interpreter, append([]string{"peers/" + script}, args...)...), ended: make(chan struct{})}
	p.cmd.Stderr = t.Output()
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.in = in
	go p.read(out)
	t.Cleanup(p.end)
	return p
}

// read gives each event to its socket.
func (p *process) read(out io.Reader) {
	defer close(p.ended)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			p.t.Errorf("%s wrote %q: %v", p.cmd.Args[1], lines.Text(), err)
			return
		}
		if e.Event == "failed" {
			p.t.Errorf("%s failed: %s", p.cmd.Args[1], e.Error)
		}
		p.mu.Lock()
		s := p.sockets[e.Socket]
		p.mu.Unlock()
		s.events <- e
	}
}

// end asks the peer to end, and waits.
func (p *process) end() {
	_ = p.in.Close()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Errorf("%s does not end", p.cmd.Args[1])
		_ = p.cmd.Process.Kill()
	}
	_ = p.cmd.Wait()
}

// kill ends the peer at once, as a crash would.
func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.ended
}

func (p *process) tell(o order) {
	p.t.Helper()
	line, err := json.Marshal(o)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		p.t.Fatal(err)
	}
}

// socket makes the next number, on which a peer may tell events.
func (p *process) socket(t *testing.T) *socket {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &socket{t: t, process: p, number: len(p.sockets), events: make(chan event, 1000), passing: passing}
	p.sockets = append(p.sockets, s)
	return s
}

// open has the peer open a socket, which is closed when the test has ended.
func (p *process) open(t *testing.T, o order) *socket {
	t.Helper()
	s := p.socket(t)
	o.Do, o.Socket = "open", s.number
	p.tell(o)
	s.endpoint = s.wait("open").Endpoint
	t.Cleanup(s.close)
	return s
}

// bind has the peer open a socket where others can connect, at a port that the system
// chooses.
func (p *process) bind(t *testing.T, socketType string, options map[string]any, subscribe ...string) *socket {
	t.Helper()
	return p.open(t, order{Type: socketType, Bind: "tcp://127.0.0.1:0", Options: options, Subscribe: subscribe})
}

func (s *socket) close() {
	select {
	case <-s.process.ended: // it was killed
	default:
		s.process.tell(order{Do: "close", Socket: s.number})
		for s.next().Event != "closed" {
		}
	}
}

func (s *socket) send(frames ...string) {
	s.t.Helper()
	s.process.tell(order{Do: "send", Socket: s.number, Frames: frames})
}

// next is what the socket tells next.
func (s *socket) next() event {
	s.t.Helper()
	select {
	case e := <-s.events:
		return e
	default:
	}
	select {
	case e := <-s.events:
		return e
	case <-s.process.ended:
		s.t.Fatalf("%s has ended", s.process.cmd.Args[1])
	case <-time.After(patience):
		s.t.Fatal("nothing comes")
	}
	return event{}
}

// passing are events that may come at any time and prove nothing: libzmq tells of a
// successful handshake as early as the HTTP upgrade.
var passing = []string{"accept", "handshake", "disconnect", "zap"}

// wait waits for an event. Any other is an error, but for those in passing.
func (s *socket) wait(name string) event {
	s.t.Helper()
	for {
		e := s.next()
		if e.Event == name {
			return e
		}
		if !slices.Contains(s.passing, e.Event) {
			s.t.Fatalf("socket %d told %+v, want %s", s.number, e, name)
		}
	}
}

// expect waits for a message and compares it.
func (s *socket) expect(frames ...string) {
	s.t.Helper()
	if got := s.wait("message").Frames; !slices.Equal(got, frames) {
		s.t.Fatalf("socket %d got %q, want %q", s.number, got, frames)
	}
}
