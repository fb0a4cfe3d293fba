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

// patience is how long a test waits for a peer. It measures nothing: it only ends a test that
// would hang.
const patience = 60 * time.Second

// missing is the variable in which the script run lists the peers that it could not install:
// npm, node22, python3-zmq, python3-zeroconf, chromium, firefox, nginx, rabbitmq-server, avahi-daemon,
// dnsmasq, and netns for network namespaces.
const missing = "ZWSBRIDGE_INTEROP_MISSING"

// need skips a test whose peers could not be installed. The script run lists them, and fails
// with CI=true; peers that it does not list have to be there.
func need(t *testing.T, peers ...string) {
	t.Helper()
	for _, peer := range peers {
		if slices.Contains(strings.Fields(os.Getenv(missing)), peer) {
			t.Skipf("%s is not installed", peer)
		}
	}
}

// command is one line to a peer.
type command struct {
	Do        string         `json:"do"`
	Socket    int            `json:"socket"`
	Type      string         `json:"type,omitempty"`
	Connect   string         `json:"connect,omitempty"`
	Bind      string         `json:"bind,omitempty"`
	Subscribe []string       `json:"subscribe,omitempty"`
	Options   map[string]any `json:"options,omitempty"`
	Frames    []string       `json:"frames,omitempty"`
	// For services in a network.
	Endpoint string `json:"endpoint,omitempty"`
	Instance string `json:"instance,omitempty"`
	Port     int    `json:"port,omitempty"`
}

// event is one line from a peer.
type event struct {
	Socket   int      `json:"socket"`
	Event    string   `json:"event"`
	Endpoint string   `json:"endpoint"`
	Frames   []string `json:"frames"`
	Status   int      `json:"status"`
	Error    string   `json:"error"`
	// From a ZAP handler: the request.
	Mechanism string `json:"mechanism"`
	Domain    string `json:"domain"`
	Address   string `json:"address"`
	// From a WebSocket in a browser.
	Protocol string `json:"protocol"`
	Code     int    `json:"code"`
	Reason   string `json:"reason"`
	ZMTP     string `json:"zmtp"`
	// Of a route with a history.
	Position  string `json:"position"`
	Replayed  bool   `json:"replayed"`
	Recovered bool   `json:"recovered"`
	Gap       bool   `json:"gap"`
}

// process is a running peer.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser

	mu      sync.Mutex
	sockets []*socket
	ended   chan struct{} // closed when its output ends
}

// socket is one of a peer's sockets.
type socket struct {
	t       *testing.T
	process *process
	number  int
	events  chan event
	// endpoint is the address that it is bound to.
	endpoint string
	// ignored lists events that wait skips.
	ignored []string
}

// python returns the interpreter of Debian, which has Debian's python3-zmq; another one can
// come first on the PATH.
func python() string {
	if p := os.Getenv("PYTHON"); p != "" {
		return p
	}
	return "/usr/bin/python3"
}

// start runs a peer until the test ends.
func start(t *testing.T, script string, args ...string) *process {
	t.Helper()
	if strings.HasSuffix(script, ".py") {
		return startWith(t, python(), script, args...)
	}
	return startWith(t, "node", script, args...)
}

func startWith(t *testing.T, interpreter, script string, args ...string) *process {
	t.Helper()
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

// read passes each event to its socket.
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

// end closes the peer's standard input and waits until the peer has ended.
func (p *process) end() {
	_ = p.in.Close()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Errorf("%s does not exit", p.cmd.Args[1])
		_ = p.cmd.Process.Kill()
	}
	_ = p.cmd.Wait()
}

// kill ends the peer like a crash.
func (p *process) kill() {
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.ended
}

func (p *process) write(c command) {
	p.t.Helper()
	line, err := json.Marshal(c)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		p.t.Fatal(err)
	}
}

// socket registers a socket with the next number.
func (p *process) socket(t *testing.T) *socket {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &socket{t: t, process: p, number: len(p.sockets), events: make(chan event, 1000), ignored: ignored}
	p.sockets = append(p.sockets, s)
	return s
}

// open opens a socket in the peer until the test ends.
func (p *process) open(t *testing.T, c command) *socket {
	t.Helper()
	s := p.socket(t)
	c.Do, c.Socket = "open", s.number
	p.write(c)
	s.endpoint = s.wait("open").Endpoint
	t.Cleanup(s.close)
	return s
}

// bind opens a socket in the peer that listens on a port chosen by the system.
func (p *process) bind(t *testing.T, socketType string, options map[string]any, subscribe ...string) *socket {
	t.Helper()
	return p.open(t, command{Type: socketType, Bind: "tcp://127.0.0.1:0", Options: options, Subscribe: subscribe})
}

func (s *socket) close() {
	select {
	case <-s.process.ended: // killed
	default:
		s.process.write(command{Do: "close", Socket: s.number})
		for s.next().Event != "closed" {
		}
	}
}

func (s *socket) send(frames ...string) {
	s.t.Helper()
	s.process.write(command{Do: "send", Socket: s.number, Frames: frames})
}

// do has the peer do something else with the socket, or with its page.
func (s *socket) do(what string) {
	s.t.Helper()
	s.process.write(command{Do: what, Socket: s.number})
}

// next returns the next event of the socket.
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
		s.t.Fatalf("%s has exited", s.process.cmd.Args[1])
	case <-time.After(patience):
		s.t.Fatalf("no event within %v", patience)
	}
	return event{}
}

// ignored lists events that can come at any time and prove nothing: libzmq reports a successful
// handshake as early as the HTTP upgrade.
var ignored = []string{"accept", "handshake", "disconnect", "zap"}

// wait waits for an event. Any other event fails the test, except for those in ignored.
func (s *socket) wait(name string) event {
	s.t.Helper()
	for {
		e := s.next()
		if e.Event == name {
			return e
		}
		if !slices.Contains(s.ignored, e.Event) {
			s.t.Fatalf("socket %d: event %+v, want %s", s.number, e, name)
		}
	}
}

// expect waits for a message and compares its frames.
func (s *socket) expect(frames ...string) {
	s.t.Helper()
	if got := s.wait("message").Frames; !slices.Equal(got, frames) {
		s.t.Fatalf("socket %d: message %q, want %q", s.number, got, frames)
	}
}
