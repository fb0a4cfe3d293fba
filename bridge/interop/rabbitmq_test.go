//go:build interop

package interop

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// rabbitmqScript is the server without the wrapper of Debian, which changes the user.
const rabbitmqScript = "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"

// rabbitmqDefinitions has the vhosts of every server and the topic exchanges in each.
const rabbitmqDefinitions = `{
 "vhosts": [{"name": "homes"}, {"name": "office"}],
 "exchanges": [%s]
}`

// rabbitmqExchanges lists the exchanges of every vhost.
var rabbitmqExchanges = []string{"devices", "commands", "closed"}

// rabbitmq runs a server with Web STOMP until the test ends, and returns its URL. config and
// plugins are added to what the server needs anyway.
func rabbitmq(t *testing.T, config string, plugins ...string) (url string) {
	t.Helper()
	need(t, "rabbitmq-server")
	scripts, _ := filepath.Glob(rabbitmqScript)
	if len(scripts) == 0 {
		t.Fatalf("no %s", rabbitmqScript)
	}
	h := &home{t: t, dir: t.TempDir()}
	var exchanges []string
	for _, vhost := range []string{"homes", "office"} {
		for _, name := range rabbitmqExchanges {
			exchanges = append(exchanges, fmt.Sprintf(`{"name": %q, "vhost": %q, "type": "topic", "durable": true, "auto_delete": false, "internal": false, "arguments": {}}`, name, vhost))
		}
	}
	h.write("definitions.json", fmt.Sprintf(rabbitmqDefinitions, strings.Join(exchanges, ",")))
	h.write("enabled_plugins", "["+strings.Join(append(plugins, "rabbitmq_web_stomp"), ",")+"].\n")
	port, distribution, epmd := unusedPort(t), unusedPort(t), unusedPort(t)
	h.write("rabbitmq.conf", fmt.Sprintf(`
listeners.tcp = none
stomp.listeners.tcp = none
web_stomp.tcp.ip = 127.0.0.1
web_stomp.tcp.port = %s
load_definitions = %s
%s`, port, h.path("definitions.json"), config))

	cmd := exec.Command(scripts[0])
	cmd.Env = append(os.Environ(),
		"RABBITMQ_NODENAME=t"+port+"@localhost",
		"RABBITMQ_CONFIG_FILE="+h.path("rabbitmq.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+h.path("enabled_plugins"),
		"RABBITMQ_MNESIA_BASE="+h.path("mnesia"),
		"RABBITMQ_LOG_BASE="+h.path("log"),
		"RABBITMQ_PID_FILE="+h.path("pid"),
		"RABBITMQ_DIST_PORT="+distribution,
		"ERL_EPMD_PORT="+epmd,
		"HOME="+h.dir,
	)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
		kill := exec.Command("epmd", "-kill") // started by the server
		kill.Env = append(os.Environ(), "ERL_EPMD_PORT="+epmd)
		_ = kill.Run()
		if t.Failed() {
			logs, _ := filepath.Glob(h.path("log/*@localhost.log"))
			for _, file := range logs {
				text, _ := os.ReadFile(file)
				t.Logf("%s", text)
			}
		}
	})
	awaitStartup(t, h.path("log/t"+port+"@localhost.log"), ended)
	return "ws://127.0.0.1:" + port + "/ws"
}

// unusedPort returns the port of [freePort].
func unusedPort(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(freePort(t), "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// awaitStartup waits until the log of a server says that it is up. The server listens long before
// that, but answers logins with errors.
func awaitStartup(t *testing.T, log string, ended <-chan struct{}) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < 2*patience; {
		text, err := os.ReadFile(log)
		if err == nil && bytes.Contains(text, []byte("Server startup complete")) {
			return
		}
		select {
		case <-ended:
			t.Fatal("the server has exited")
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not report that the server is up", log)
}

// stomp is a client of STOMP 1.2 over WebSocket.
type stomp struct {
	t    *testing.T
	conn *websocket.Conn
}

// dialSTOMP logs in; ok is false if the server refuses.
func dialSTOMP(t *testing.T, url, vhost, user, password string) (s *stomp, ok bool) {
	t.Helper()
	conn, _, err := (&websocket.Dialer{Subprotocols: []string{"v12.stomp"}}).Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	s = &stomp{t, conn}
	return s, s.ask("CONNECT", "CONNECTED", "accept-version:1.2", "host:"+vhost, "login:"+user, "passcode:"+password)
}

// ask sends a frame and reports whether the answer is want, not an error.
func (s *stomp) ask(command, want string, headers ...string) bool {
	s.t.Helper()
	frame := command + "\n" + strings.Join(headers, "\n") + "\n\nx\x00"
	if command != "SEND" {
		frame = strings.Replace(frame, "x\x00", "\x00", 1)
	}
	if err := s.conn.WriteMessage(websocket.TextMessage, []byte(frame)); err != nil {
		s.t.Fatal(err)
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		_, answer, err := s.conn.ReadMessage()
		if websocket.IsCloseError(err, websocket.CloseNormalClosure) {
			return false // the broker can close the session before it has sent the ERROR
		}
		if err != nil {
			s.t.Fatalf("%s %q: %v", command, headers, err)
		}
		switch got, _, _ := strings.Cut(string(answer), "\n"); got {
		case want:
			return true
		case "ERROR":
			if strings.Contains(string(answer), "Processing error") {
				s.t.Fatalf("%s: the broker failed instead of refusing: %q", command, answer)
			}
			return false
		case "", "MESSAGE": // a heartbeat, or the message that was sent
		default:
			s.t.Fatalf("%s: %q", command, answer)
		}
	}
}

func (s *stomp) close() { s.conn.Close() }
