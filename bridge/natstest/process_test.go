package natstest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/zwsbridge/zwsbridge/bridge"
	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/internal/testport"
	"github.com/zwsbridge/zwsbridge/zap"
)

// The test program runs itself as a NATS server and as a bridge, so that they can be killed.
const roleVariable = "ZWSBRIDGE_NATSTEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "nats":
		runNATS(os.Args[1], os.Args[2], os.Args[3:])
	case "bridge":
		runBridge(os.Args[1])
	default:
		os.Exit(m.Run())
	}
}

// runNATS runs a NATS server with JetStream in dir until it is killed. It prints its URL. cluster, if
// not empty, is its number and the ports at which the servers of a cluster connect to each other.
func runNATS(dir, port string, cluster []string) {
	n, err := strconv.Atoi(port)
	if err != nil {
		panic(err)
	}
	o := &server.Options{Host: "127.0.0.1", Port: n, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true}
	if len(cluster) > 0 {
		number, err := strconv.Atoi(cluster[0])
		if err != nil {
			panic(err)
		}
		o.ServerName = cluster[0]
		o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1"}
		if o.Cluster.Port, err = strconv.Atoi(cluster[1+number]); err != nil {
			panic(err)
		}
		o.Routes = server.RoutesFromStr("nats://127.0.0.1:" + strings.Join(cluster[1:], ",nats://127.0.0.1:"))
	}
	s, err := server.NewServer(o)
	if err != nil {
		panic(err)
	}
	go s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		panic("the NATS server does not start")
	}
	fmt.Println(s.ClientURL())
	waitForEnd()
	s.Shutdown()
}

// password is that of all users.
const password = "secret"

// runBridge runs a bridge with that configuration until it is killed or interrupted. It prints the
// address of its clients and that of its operators. On SIGUSR2 it hands over to the other bridges.
func runBridge(file string) {
	c, faults := config.Load(file)
	if err := faults.Err(); err != nil {
		panic(err)
	}
	logins := zap.HandlerFunc(func(_ context.Context, req *zap.Request) (*zap.Reply, error) {
		user, text, ok := req.Plain()
		if ok && text != password {
			return &zap.Reply{Status: zap.Refused}, nil
		}
		return &zap.Reply{Status: zap.OK, UserID: user}, nil
	})
	b, err := bridge.New(c, bridge.Options{Handler: logins, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		panic(err)
	}
	handover := make(chan os.Signal, 1)
	signal.Notify(handover, syscall.SIGUSR2)
	go func() {
		<-handover
		b.HandOver(context.Background())
	}()
	fmt.Println(serve(b), serve(b.Admin()))
	waitForEnd()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = b.Close(ctx)
}

func serve(h http.Handler) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(l, h)
	return l.Addr().String()
}

// waitForEnd returns at SIGINT, or when the test has ended: then its end of the pipe is closed.
func waitForEnd() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	<-ctx.Done()
}

// process is a running copy of the test program.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	first string // the line that it has printed
	log   *logged
	ended chan struct{}
}

// start runs the test program in a role, and returns once it has printed a line.
func start(t *testing.T, role string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], args...), log: &logged{}, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), roleVariable+"="+role)
	p.cmd.Stderr = p.log
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
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("DUMP") != "" && role == "bridge" {
			p.signal(syscall.SIGQUIT)
			<-p.ended
		}
		in.Close()
		p.kill()
		if t.Failed() {
			t.Logf("%s %s:\n%s", role, strings.Join(args, " "), p.log)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s: %v\n%s", role, err, p.log)
	}
	p.first = strings.TrimSpace(line)
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	return p
}

func (p *process) signal(s syscall.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil && err != os.ErrProcessDone {
		p.t.Errorf("%v: %v", s, err)
	}
}

// kill ends the process without warning.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGCONT)
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// logged is what a process has written to stderr.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// freePort returns a port that nothing listens on.
func freePort(t *testing.T) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(testport.Reserve(t))
	return port
}

// natsServer is a NATS server that can be started again where it was.
type natsServer struct {
	*process
	t         *testing.T
	dir, port string
}

func startNATS(t *testing.T) *natsServer {
	s := &natsServer{t: t, dir: t.TempDir(), port: freePort(t)}
	s.again()
	return s
}

// again starts the server.
func (s *natsServer) again() { s.process = start(s.t, "nats", s.dir, s.port) }

// adminToken is what operators log in with.
const adminToken = "a token of enough length for operators"

// bridgeProcess is a running bridge.
type bridgeProcess struct {
	*process
	client, admin string // addresses
}

// startBridge starts a bridge with that configuration.
func startBridge(t *testing.T, text string) *bridgeProcess {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bridge.toml")
	for name, content := range map[string]string{file: text, filepath.Join(filepath.Dir(file), "token"): adminToken} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := &bridgeProcess{process: start(t, "bridge", file)}
	if _, err := fmt.Sscan(b.first, &b.client, &b.admin); err != nil {
		t.Fatalf("%q: %v", b.first, err)
	}
	return b
}
