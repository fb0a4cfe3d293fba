package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// peer is one way to bring messages to WebSocket clients.
type peer struct {
	name string
	// start launches the server. For those that connect to a ZeroMQ PUB, or a ROUTER, it
	// stands on srv.feed already.
	start func(srv *server) error
	// connect makes client i, logged in and subscribed.
	connect func(srv *server, i int) (net.Conn, error)
	// feed connects the publisher; nil: the server connects to ours.
	feed func(srv *server) (*feed, error)
}

// program is this program itself, which hosts the peers that are Go modules.
var program, _ = os.Executable()

// folder is where the sources of this program are, with node_modules.
var folder string

// zwsbridge is the program that is measured.
var zwsbridge string

func fanoutPeers() []*peer {
	return []*peer{
		ours("zwsbridge", "/sub"),
		{name: "libzmq ws PUB", start: node("pub"), connect: libzmqSub, feed: func(srv *server) (*feed, error) {
			return dialFeed(srv.feed, "", 0, credit)
		}},
		{name: "libzmq proxy", start: node("proxy"), connect: libzmqSub},
		{name: "nats-server", start: hosted("nats"), connect: natsSub, feed: func(srv *server) (*feed, error) {
			return dialFeed(srv.feed, "CONNECT {\"verbose\":false}\r\n", 1, natsPub)
		}},
		{name: "centrifuge", start: hosted("centrifuge"), connect: centrifugeSub, feed: func(srv *server) (*feed, error) {
			return dialFeed(srv.feed, "", 0, framed)
		}},
		{name: "mochi-mqtt", start: hosted("mochi"), connect: mqttSub, feed: mqttFeed},
		{name: "mosquitto", start: mosquitto, connect: mqttSub, feed: mqttFeed},
		{name: "naive zmq4+gorilla", start: hosted("naive"), connect: bareSub},
	}
}

func hosted(name string) func(*server) error {
	return func(srv *server) error {
		return srv.launch(program, "-serve", name, "-address", srv.address, "-feed", srv.feed, fmt.Sprintf("-tls=%v", srv.tls))
	}
}

// node starts libzmq in the hands of the npm package zeromq.
func node(mode string) func(*server) error {
	return func(srv *server) error {
		return srv.launch("node", filepath.Join(folder, "libzmq.mjs"), mode, srv.address, srv.feed)
	}
}

func mosquitto(srv *server) error {
	_, feedPort, _ := strings.Cut(srv.feed, ":")
	_, port, _ := strings.Cut(srv.address, ":")
	file := filepath.Join(srv.dir, "mosquitto.conf")
	config := fmt.Sprintf("user root\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\nlog_type none\nlistener %s 127.0.0.1\nlistener %s 127.0.0.1\nprotocol websockets\n", feedPort, port)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	return srv.launch("mosquitto", "-c", file)
}

// ours is the bridge with everything on: a login with PLAIN, rights, limits, metrics.
func ours(name, path string) *peer {
	return &peer{
		name:    name,
		start:   startOurs,
		connect: func(srv *server, i int) (net.Conn, error) { return plainSub(srv, path, topic) },
	}
}

const password = "correct horse"

func startOurs(srv *server) error {
	passwd := exec.Command(zwsbridge, "passwd", filepath.Join(srv.dir, "users"), "alice")
	passwd.Stdin = strings.NewReader(password + "\n")
	if out, err := passwd.CombinedOutput(); err != nil {
		return fmt.Errorf("zwsbridge passwd: %w: %s", err, out)
	}
	tls := "off"
	if srv.tls {
		tls = "self-signed"
	}
	route := func(path, socket, more string) string {
		return fmt.Sprintf("[[route]]\npath = %q\nsocket = %q\nconnect = [\"tcp://%s\"]\nclient_mechanisms = [\"PLAIN\"]\nhigh_water_mark = 20000\nhigh_water_bytes = \"16MiB\"\nready = \"none\"\n%s\n",
			path, socket, srv.feed, more)
	}
	const topics = "allow = [{ user = \"*\", subscribe = [\"bench\", \"house/\"] }]\n"
	config := fmt.Sprintf("[server]\nlisten = %q\ntls = %q\nmax_connections = 20000\n", srv.address, tls) +
		fmt.Sprintf("[admin]\nlisten = %q\n", freePort()) +
		"[zap]\ncache = \"10m\"\nchain = [{ authn = \"users\" }]\n[auth.users]\ntype = \"htpasswd\"\nfile = \"users\"\n" +
		route("/sub", "SUB", topics) +
		route("/flush", "SUB", topics+"flush = \"5ms\"\n") +
		route("/private", "DEALER", "") +
		route("/shared", "DEALER", "share = \"requests\"\n")
	file := filepath.Join(srv.dir, "bridge.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	return srv.launch(zwsbridge, "serve", "--config", file)
}

// plainLogin logs in by 45/ZWS with PLAIN.
func plainLogin(srv *server, path, socketType string) (*wsConn, error) {
	nc, err := dial(srv)
	if err != nil {
		return nil, err
	}
	c, err := upgrade(nc, path, "ZWS2.0/PLAIN")
	if err != nil {
		return nil, err
	}
	metadata := "\x0bSocket-Type\x00\x00\x00" + string(rune(len(socketType))) + socketType
	for _, command := range []string{
		"\x02\x05HELLO\x05alice" + string(rune(len(password))) + password,
		"\x02\x08INITIATE" + metadata,
	} {
		if err := c.send(opBinary, command); err != nil {
			return nil, err
		}
		if _, err := c.receive(); err != nil { // WELCOME, READY
			return nil, err
		}
	}
	return c, nil
}

func plainSub(srv *server, path string, topics ...string) (net.Conn, error) {
	c, err := plainLogin(srv, path, "SUB")
	if err != nil {
		return nil, err
	}
	for _, t := range topics {
		if err := c.send(opBinary, "\x00\x01"+t); err != nil {
			return nil, err
		}
	}
	return c.free()
}

// nullLogin logs in by 45/ZWS with NULL, as to libzmq.
func nullLogin(srv *server, socketType string) (*wsConn, error) {
	nc, err := dial(srv)
	if err != nil {
		return nil, err
	}
	c, err := upgrade(nc, "/", "ZWS2.0/NULL")
	if err != nil {
		return nil, err
	}
	if err := c.send(opBinary, "\x02\x05READY\x0bSocket-Type\x00\x00\x00"+string(rune(len(socketType)))+socketType+"\x08Identity\x00\x00\x00\x00"); err != nil {
		return nil, err
	}
	_, err = c.receive()
	return c, err
}

func libzmqSub(srv *server, _ int) (net.Conn, error) {
	c, err := nullLogin(srv, "SUB")
	if err != nil {
		return nil, err
	}
	if err := c.send(opBinary, "\x00\x01"+topic); err != nil {
		return nil, err
	}
	return c.free()
}

// bareSub is for the naive bridge, which has no login and one topic.
func bareSub(srv *server, _ int) (net.Conn, error) {
	nc, err := dial(srv)
	if err != nil {
		return nil, err
	}
	c, err := upgrade(nc, "/", "")
	if err != nil {
		return nil, err
	}
	return c.free()
}

func natsSub(srv *server, _ int) (net.Conn, error) {
	nc, err := dial(srv)
	if err != nil {
		return nil, err
	}
	c, err := upgrade(nc, "/", "")
	if err != nil {
		return nil, err
	}
	if err := c.send(opBinary, "CONNECT {\"verbose\":false}\r\nSUB "+topic+" 1\r\nPING\r\n"); err != nil {
		return nil, err
	}
	for all := ""; !strings.Contains(all, "PONG\r\n"); {
		p, err := c.receive()
		if err != nil {
			return nil, err
		}
		all += string(p)
	}
	return c.free()
}

const mqttConnect = "\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00" // clean session, no keep-alive

func mqttSub(srv *server, _ int) (net.Conn, error) {
	nc, err := dial(srv)
	if err != nil {
		return nil, err
	}
	c, err := upgrade(nc, "/", "mqtt")
	if err != nil {
		return nil, err
	}
	for _, packet := range []string{
		mqttConnect,
		"\x82" + string(rune(5+len(topic))) + "\x00\x01\x00" + string(rune(len(topic))) + topic + "\x00",
	} {
		if err := c.send(opBinary, packet); err != nil {
			return nil, err
		}
		if _, err := c.receive(); err != nil { // CONNACK, SUBACK
			return nil, err
		}
	}
	return c.free()
}

func mqttFeed(srv *server) (*feed, error) {
	return dialFeed(srv.feed, mqttConnect, 4, mqttPublish)
}

func centrifugeSub(srv *server, _ int) (net.Conn, error) {
	nc, err := dial(srv)
	if err != nil {
		return nil, err
	}
	c, err := upgrade(nc, "/", "")
	if err != nil {
		return nil, err
	}
	for _, command := range []string{`{"id":1,"connect":{}}`, `{"id":2,"subscribe":{"channel":"bench"}}`} {
		if err := c.send(opText, command); err != nil {
			return nil, err
		}
		if _, err := c.receive(); err != nil {
			return nil, err
		}
	}
	return c.free()
}

// free is the connection without deadline and reader.
func (c *wsConn) free() (net.Conn, error) {
	return c.Conn, c.SetDeadline(time.Time{})
}
