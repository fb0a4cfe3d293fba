package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge"
	"github.com/go-zeromq/zmq4"
	"github.com/gorilla/websocket"
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	nats "github.com/nats-io/nats-server/v2/server"

	"github.com/zwsbridge/zwsbridge/bridge/bench/load"
)

// serve runs a peer that is a Go module. It returns only an error.
func serve(name, address, feed string, secure bool) error {
	var config *tls.Config
	if secure {
		var err error
		if config, err = selfSigned(); err != nil {
			return err
		}
	}
	switch name {
	case "nats":
		return serveNATS(address, feed, config, "")
	case "jetstream":
		return serveNATS(address, feed, config, "jetstream")
	case "mochi":
		return serveMochi(address, feed, config)
	case "centrifuge":
		return serveCentrifuge(address, feed, config)
	case "naive":
		return serveNaive(address, feed, config)
	case "upgrade":
		return serveUpgrade(address, config)
	}
	return fmt.Errorf("unknown peer %q (one of nats, jetstream, mochi, centrifuge, naive, upgrade)", name)
}

func selfSigned() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, nil
}

// serveUpgrade upgrades every request, and leaves it at that.
func serveUpgrade(address string, config *tls.Config) error {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	var conns sync.Map // keeps them open
	s := &http.Server{Addr: address, TLSConfig: config, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, err := upgrader.Upgrade(w, r, nil); err == nil {
			conns.Store(c, nil)
		}
	})}
	if config == nil {
		return s.ListenAndServe()
	}
	return s.ListenAndServeTLS("", "")
}

func split(address string) (host string, port int) {
	host, p, _ := net.SplitHostPort(address)
	port, _ = strconv.Atoi(p)
	return host, port
}

// serveNATS runs nats-server, with JetStream if store names a directory.
func serveNATS(address, feed string, config *tls.Config, store string) error {
	o := &nats.Options{NoLog: true, NoSigs: true, MaxConn: 20000, MaxPending: 256 << 20, JetStream: store != "", StoreDir: store}
	o.Host, o.Port = split(feed)
	o.Websocket.Host, o.Websocket.Port = split(address)
	o.Websocket.NoTLS, o.Websocket.TLSConfig = config == nil, config
	s, err := nats.NewServer(o)
	if err != nil {
		return err
	}
	s.Start()
	s.WaitForShutdown()
	return nil
}

func serveMochi(address, feed string, config *tls.Config) error {
	capabilities := mqtt.NewDefaultServerCapabilities()
	capabilities.MaximumClientWritesPending = 1 << 15
	s := mqtt.New(&mqtt.Options{Capabilities: capabilities, Logger: slog.New(slog.DiscardHandler)})
	if err := s.AddHook(new(auth.AllowHook), nil); err != nil {
		return err
	}
	if err := s.AddListener(listeners.NewWebsocket(listeners.Config{ID: "ws", Address: address, TLSConfig: config})); err != nil {
		return err
	}
	if err := s.AddListener(listeners.NewTCP(listeners.Config{ID: "tcp", Address: feed})); err != nil {
		return err
	}
	if err := s.Serve(); err != nil {
		return err
	}
	select {}
}

func serveCentrifuge(address, feed string, config *tls.Config) error {
	node, err := centrifuge.New(centrifuge.Config{ClientQueueMaxSize: 256 << 20})
	if err != nil {
		return err
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{Credentials: &centrifuge.Credentials{}}, nil
	})
	node.OnConnect(func(c *centrifuge.Client) {
		c.OnSubscribe(func(e centrifuge.SubscribeEvent, cb centrifuge.SubscribeCallback) {
			cb(centrifuge.SubscribeReply{Options: centrifuge.SubscribeOptions{EnableRecovery: e.Channel == load.KeptTopic}}, nil)
		})
	})
	if err := node.Run(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", feed)
	if err != nil {
		return err
	}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go publishFrom(nc, node)
		}
	}()
	handler := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{CheckOrigin: func(*http.Request) bool { return true }})
	return serveHTTP(address, handler, config)
}

// publishFrom publishes the messages that arrive on nc, each after its length in two bytes. Those
// of [load.KeptTopic] are kept.
func publishFrom(nc net.Conn, node *centrifuge.Node) {
	in := bufio.NewReaderSize(nc, 64<<10)
	var size [2]byte
	for {
		if _, err := io.ReadFull(in, size[:]); err != nil {
			return
		}
		message := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(in, message); err != nil {
			return
		}
		data, _ := json.Marshal(string(message))
		if string(about(message)) == load.KeptTopic {
			node.Publish(load.KeptTopic, data, centrifuge.WithHistory(1<<16, time.Hour))
			continue
		}
		node.Publish(load.Topic, data)
	}
}

func serveHTTP(address string, handler http.Handler, config *tls.Config) error {
	s := &http.Server{Addr: address, Handler: handler, TLSConfig: config}
	if config != nil {
		return s.ListenAndServeTLS("", "")
	}
	return s.ListenAndServe()
}

// serveNaive runs the bridge that one writes in an afternoon: a SUB for each client, and a
// write for each message.
func serveNaive(address, feed string, config *tls.Config) error {
	upgrader := websocket.Upgrader{}
	return serveHTTP(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		sub := zmq4.NewSub(r.Context())
		defer sub.Close()
		if sub.Dial("tcp://"+feed) != nil || sub.SetOption(zmq4.OptionSubscribe, load.Topic) != nil {
			return
		}
		for {
			m, err := sub.Recv()
			if err != nil {
				return
			}
			if conn.WriteMessage(websocket.BinaryMessage, append([]byte{0}, m.Frames[0]...)) != nil {
				return
			}
		}
	}), config)
}
