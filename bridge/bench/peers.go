package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/bench/load"
)

// program is this program itself, which hosts the peers that are Go modules.
var program, _ = os.Executable()

func fanoutPeers(o options) []*load.Peer {
	return []*load.Peer{
		load.Bridge("zwsbridge", o.zwsbridge, "/sub"),
		load.BridgeMux("zwsbridge, ZWSMUX1.0", o.zwsbridge, "/sub"),
		load.LibzmqPublisher("libzmq ws PUB"),
		load.LibzmqProxy("libzmq proxy"),
		{Name: "nats-server", Start: hosted("nats"), Connect: natsSub, Publisher: func(srv *load.Server) (*load.Publisher, error) {
			return load.DialPublisher(srv, "CONNECT {\"verbose\":false}\r\n", 1, natsPub)
		}},
		{Name: "centrifuge", Start: hosted("centrifuge"), Connect: centrifugeSub, Publisher: func(srv *load.Server) (*load.Publisher, error) {
			return load.DialPublisher(srv, "", 0, lengthPrefixed)
		}},
		{Name: "mochi-mqtt", Start: hosted("mochi"), Connect: mqttSub, Publisher: mqttPublisher},
		{Name: "mosquitto", Start: mosquitto, Connect: mqttSub, Publisher: mqttPublisher},
		{Name: "naive zmq4+gorilla", Start: hosted("naive"), Connect: naiveSub},
	}
}

// hosted returns a function that starts a peer that is a Go module, in a process of this
// program.
func hosted(name string) func(*load.Server) error {
	return func(srv *load.Server) error {
		return srv.Launch(program, "-serve", name, "-address", srv.Address, "-feed", srv.Feed, fmt.Sprintf("-tls=%v", srv.TLS))
	}
}

func mosquitto(srv *load.Server) error {
	_, feedPort, _ := strings.Cut(srv.Feed, ":")
	_, port, _ := strings.Cut(srv.Address, ":")
	file := filepath.Join(srv.Dir, "mosquitto.conf")
	config := fmt.Sprintf("user root\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\nset_tcp_nodelay true\nlog_type none\nlistener %s 127.0.0.1\nlistener %s 127.0.0.1\nprotocol websockets\n", feedPort, port)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	return srv.Launch("mosquitto", "-c", file)
}

// naiveSub connects to the naive bridge, which has one topic and no login.
func naiveSub(srv *load.Server, _ int) (net.Conn, error) {
	c, err := load.Dial(srv, "/", "")
	if err != nil {
		return nil, err
	}
	return c.Raw()
}

func natsSub(srv *load.Server, _ int) (net.Conn, error) {
	c, err := natsLogin(srv, "SUB "+load.Topic+" 1\r\n")
	if err != nil {
		return nil, err
	}
	return c.Raw()
}

const mqttConnect = "\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00" // clean session, no keep-alive

func mqttSub(srv *load.Server, _ int) (net.Conn, error) {
	c, err := load.Dial(srv, "/", "mqtt")
	if err != nil {
		return nil, err
	}
	for _, packet := range []string{
		mqttConnect,
		"\x82" + string(rune(5+len(load.Topic))) + "\x00\x01\x00" + string(rune(len(load.Topic))) + load.Topic + "\x00",
	} {
		if err := c.Send(load.OpBinary, packet); err != nil {
			return nil, err
		}
		if _, err := c.Receive(); err != nil { // CONNACK, SUBACK
			return nil, err
		}
	}
	return c.Raw()
}

func mqttPublisher(srv *load.Server) (*load.Publisher, error) {
	return load.DialPublisher(srv, mqttConnect, 4, mqttPublish)
}

func centrifugeSub(srv *load.Server, _ int) (net.Conn, error) {
	c, err := centrifugeLogin(srv)
	if err != nil {
		return nil, err
	}
	if err := c.Send(load.OpText, `{"id":2,"subscribe":{"channel":"bench"}}`); err != nil {
		return nil, err
	}
	if _, err := c.Receive(); err != nil {
		return nil, err
	}
	return c.Raw()
}

func centrifugeLogin(srv *load.Server) (*load.Conn, error) {
	c, err := load.Dial(srv, "/", "")
	if err != nil {
		return nil, err
	}
	if err := c.Send(load.OpText, `{"id":1,"connect":{}}`); err != nil {
		return nil, err
	}
	_, err = c.Receive()
	return c, err
}

// How the publishers of each server frame a message.

func natsPub(dst, message []byte) []byte {
	dst = fmt.Appendf(dst, "PUB %s %d\r\n", load.Topic, len(message))
	return append(append(dst, message...), "\r\n"...)
}

func mqttPublish(dst, message []byte) []byte {
	dst = append(dst, 0x30, byte(2+len(load.Topic)+len(message)), 0, byte(len(load.Topic)))
	return append(append(dst, load.Topic...), message...)
}

// lengthPrefixed is for servers that this program hosts: a length of two bytes, then the
// message.
func lengthPrefixed(dst, message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(message))), message...)
}
