package load

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A Peer is one way to bring messages to WebSocket clients.
type Peer struct {
	Name string
	// Start launches the server. Where Publisher is nil, the ZeroMQ socket that the server
	// connects to already listens on srv.Feed.
	Start func(srv *Server) error
	// Connect connects client i, logs it in and subscribes it.
	Connect func(srv *Server, i int) (net.Conn, error)
	// Publisher connects the publisher to the server; nil: the server connects to a PUB.
	Publisher func(srv *Server) (*Publisher, error)
}

// Bridge returns zwsbridge as its users run it, with a login by PLAIN, rights, limits and
// metrics. program is the binary; clients subscribe to [Topic] on the route path, which is one
// of those that [StartBridge] configures.
func Bridge(name, program, path string) *Peer {
	return &Peer{
		Name:    name,
		Start:   StartBridge(program),
		Connect: func(srv *Server, i int) (net.Conn, error) { return BridgeSub(srv, path, Topic) },
	}
}

const password = "correct horse"

// StartBridge returns a function that starts `program serve`. Its routes are /sub and /flush
// (SUB, the latter with flush = "5ms"), /private and /shared (DEALER, the latter with
// share = "requests").
func StartBridge(program string) func(*Server) error { return startBridge(program, settings{}) }

// StartBridgeForTopics is StartBridge with limits for clients of one user that subscribe to many
// topics.
func StartBridgeForTopics(program string) func(*Server) error {
	return startBridge(program, settings{
		shared: true,
		server: "max_subscription_bytes_per_user = \"100MiB\"\n",
		sub:    "max_subscription_bytes = \"1GiB\"\n",
	})
}

// settings are lines for the configuration of the bridge.
type settings struct {
	server string // of [server], and further tables after it
	sub    string // of the SUB routes
	kept   string // of [route.history] of /sub; "": no such table
	// shared leaves out the routes with a connection to the backend for each client: for a client
	// with two descriptors, half as many connections are permitted.
	shared bool
}

func startBridge(program string, more settings) func(*Server) error {
	return func(srv *Server) error {
		passwd := exec.Command(program, "passwd", filepath.Join(srv.Dir, "users"), "alice")
		passwd.Stdin = strings.NewReader(password + "\n")
		if out, err := passwd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s passwd: %w: %s", program, err, out)
		}
		file := filepath.Join(srv.Dir, "bridge.toml")
		if err := os.WriteFile(file, []byte(bridgeConfig(srv, more)), 0o600); err != nil {
			return err
		}
		return srv.Launch(program, "serve", "--config", file)
	}
}

func bridgeConfig(srv *Server, with settings) string {
	tls := "off"
	if srv.TLS {
		tls = "self-signed"
	}
	route := func(path, socket, more string) string {
		return fmt.Sprintf("[[route]]\npath = %q\nsocket = %q\nconnect = [\"tcp://%s\"]\nclient_mechanisms = [\"PLAIN\"]\nhigh_water_mark = 20000\nhigh_water_bytes = \"16MiB\"\nready = \"none\"\n%s\n",
			path, socket, srv.Feed, more)
	}
	kept := ""
	if with.kept != "" {
		kept = "[route.history]\n" + with.kept
	}
	topics := with.sub + "allow = [{ user = \"*\", subscribe = [\"bench\", \"house/\"] }]\n"
	routes := route("/sub", "SUB", topics+kept) + route("/flush", "SUB", topics+"flush = \"5ms\"\n")
	if !with.shared {
		routes += route("/private", "DEALER", "") + route("/shared", "DEALER", "share = \"requests\"\n")
	}
	return fmt.Sprintf("[server]\nlisten = %q\ntls = %q\nmax_connections = 20000\n%s", srv.Address, tls, with.server) +
		fmt.Sprintf("[admin]\nlisten = %q\n", freePort()) +
		"[zap]\ncache = \"10m\"\nchain = [{ authn = \"users\" }]\n[auth.users]\ntype = \"htpasswd\"\nfile = \"users\"\n" + routes
}

// plainSubprotocol is that of 45/ZWS with PLAIN.
const plainSubprotocol = "ZWS2.0/PLAIN"

// plainLogin connects and logs in by 45/ZWS with PLAIN. metadata is added to that of the client.
func plainLogin(srv *Server, path, socketType, metadata string) (*Conn, error) {
	c, err := Dial(srv, path, plainSubprotocol)
	if err != nil {
		return nil, err
	}
	return c, plainHandshake(c, socketType, metadata)
}

// plainHandshake logs in on c with PLAIN.
func plainHandshake(c *Conn, socketType, metadata string) error {
	metadata = "\x0bSocket-Type\x00\x00\x00" + string(rune(len(socketType))) + socketType + metadata
	for _, command := range []string{
		"\x02\x05HELLO\x05alice" + string(rune(len(password))) + password,
		"\x02\x08INITIATE" + metadata,
	} {
		if err := c.Send(OpBinary, command); err != nil {
			return err
		}
		if _, err := c.Receive(); err != nil { // WELCOME, READY
			return err
		}
	}
	return nil
}

// BridgeSub connects a SUB client to a bridge that [StartBridge] started.
func BridgeSub(srv *Server, path string, topics ...string) (net.Conn, error) {
	c, err := plainLogin(srv, path, "SUB", "")
	if err != nil {
		return nil, err
	}
	for _, t := range topics {
		if err := c.Send(OpBinary, "\x00\x01"+t); err != nil {
			return nil, err
		}
	}
	return c.Raw()
}

// BridgeDealer returns a function that connects a DEALER client to a bridge that
// [StartBridge] started.
func BridgeDealer(path string) func(*Server) (*Conn, error) {
	return func(srv *Server) (*Conn, error) { return plainLogin(srv, path, "DEALER", "") }
}

// LibzmqPublisher returns an XPUB of libzmq bound to ws://, which sends the messages itself.
func LibzmqPublisher(name string) *Peer {
	return &Peer{Name: name, Start: StartLibzmq("pub"), Connect: libzmqSub, Publisher: func(srv *Server) (*Publisher, error) {
		// The server makes the messages: one byte asks for one of them.
		return DialPublisher(srv, "", 0, func(dst, _ []byte) []byte { return append(dst, 0) })
	}}
}

// LibzmqProxy returns libzmq's proxy between an XPUB on ws:// and an XSUB on TCP.
func LibzmqProxy(name string) *Peer {
	return &Peer{Name: name, Start: StartLibzmq("proxy"), Connect: libzmqSub}
}

// StartLibzmq returns a function that starts libzmq.mjs, which uses the npm package zeromq.
// mode is "pub", "proxy" (XPUB and XSUB) or "router" (ROUTER and DEALER).
func StartLibzmq(mode string) func(*Server) error {
	return func(srv *Server) error {
		script := filepath.Join(Root(), "bridge", "bench", "libzmq.mjs")
		return srv.Launch("node", script, mode, srv.Address, srv.Feed)
	}
}

// nullLogin logs in by 45/ZWS with NULL, as libzmq accepts it.
func nullLogin(srv *Server, socketType string) (*Conn, error) {
	c, err := Dial(srv, "/", "ZWS2.0/NULL")
	if err != nil {
		return nil, err
	}
	if err := c.Send(OpBinary, "\x02\x05READY\x0bSocket-Type\x00\x00\x00"+string(rune(len(socketType)))+socketType+"\x08Identity\x00\x00\x00\x00"); err != nil {
		return nil, err
	}
	_, err = c.Receive()
	return c, err
}

func libzmqSub(srv *Server, _ int) (net.Conn, error) {
	c, err := nullLogin(srv, "SUB")
	if err != nil {
		return nil, err
	}
	if err := c.Send(OpBinary, "\x00\x01"+Topic); err != nil {
		return nil, err
	}
	return c.Raw()
}

// LibzmqDealer connects a DEALER client to libzmq's ROUTER on ws://.
func LibzmqDealer(srv *Server) (*Conn, error) { return nullLogin(srv, "DEALER") }
