package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"

	"github.com/zwsbridge/zwsbridge/bridge/bench/load"
)

// historians returns zwsbridge and the peers that keep messages for clients that were away.
func historians(o options) []*load.Historian {
	return []*load.Historian{
		o.historian(),
		{
			Peer: &load.Peer{Name: "NATS JetStream", Start: hosted("jetstream"), Connect: natsSub, Publisher: func(srv *load.Server) (*load.Publisher, error) {
				return load.DialPublisher(srv, "CONNECT {\"verbose\":false}\r\n", 1, natsPubAbout)
			}},
			Prepare:  natsStream,
			Position: func([]byte) (string, error) { return "1", nil }, // sequences begin at 1
			Login:    func(srv *load.Server, _ int) (*load.Conn, error) { return natsLogin(srv, "") },
			Ask:      natsConsume,
			Opcode:   load.OpBinary,
		},
		{
			Peer: &load.Peer{Name: "centrifuge", Start: hosted("centrifuge"), Connect: centrifugeSub, Publisher: func(srv *load.Server) (*load.Publisher, error) {
				return load.DialPublisher(srv, "", 0, lengthPrefixed)
			}},
			Login:    func(srv *load.Server, _ int) (*load.Conn, error) { return centrifugeLogin(srv) },
			Ask:      centrifugeRecover,
			Position: centrifugeEpoch,
			Opcode:   load.OpText,
		},
		{
			Peer: &load.Peer{Name: "mosquitto", Start: mosquitto, Connect: mqttSub, Publisher: func(srv *load.Server) (*load.Publisher, error) {
				return load.DialPublisher(srv, mqttConnect, 4, mqttPublishAbout)
			}},
			Prepare: mqttSessions,
			Login:   func(srv *load.Server, _ int) (*load.Conn, error) { return load.Dial(srv, "/", "mqtt") },
			Ask:     func(i int, _ string) string { return mqttSession(i) },
			Opcode:  load.OpBinary,
		},
	}
}

// about returns the topic of a message.
func about(message []byte) []byte {
	topic, _, _ := bytes.Cut(message, []byte(" "))
	return topic
}

// natsLogin connects a client that sends commands after CONNECT, and waits until the server has
// taken them.
func natsLogin(srv *load.Server, commands string) (*load.Conn, error) {
	c, err := load.Dial(srv, "/", "")
	if err != nil {
		return nil, err
	}
	if err := c.Send(load.OpBinary, "CONNECT {\"verbose\":false}\r\n"+commands+"PING\r\n"); err != nil {
		return nil, err
	}
	_, err = natsUntil(c, "PONG\r\n")
	return c, err
}

// natsUntil receives until what has arrived contains text.
func natsUntil(c *load.Conn, text string) (string, error) {
	all := ""
	for !strings.Contains(all, text) {
		p, err := c.Receive()
		if err != nil {
			return all, fmt.Errorf("%w after %q", err, all)
		}
		all += string(p)
	}
	return all, nil
}

func natsPubAbout(dst, message []byte) []byte {
	dst = fmt.Appendf(dst, "PUB %s %d\r\n", about(message), len(message))
	return append(append(dst, message...), "\r\n"...)
}

const natsInbox = "SUB in.%[1]d 1\r\nPUB %[2]s in.%[1]d %[3]d\r\n%[4]s\r\n"

// natsStream creates the stream, in memory.
func natsStream(srv *load.Server, n int) error {
	config := fmt.Sprintf(`{"name":"KEPT","subjects":[%q],"storage":"memory","retention":"limits","num_replicas":1,"max_consumers":5000}`, load.KeptTopic)
	c, err := natsLogin(srv, "")
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Send(load.OpBinary, fmt.Sprintf(natsInbox, n, "$JS.API.STREAM.CREATE.KEPT", len(config), config)); err != nil {
		return err
	}
	answer, err := natsUntil(c, "stream_create_response")
	if err == nil && strings.Contains(answer, `"error"`) {
		err = fmt.Errorf("the stream was not created: %q", answer)
	}
	return err
}

// natsConsume creates an ordered consumer as nats.go does: one that pushes, without
// acknowledgements, in memory. It is spared flow control.
func natsConsume(i int, position string) string {
	start := 1
	if position != "" {
		start = 2
	}
	config := fmt.Sprintf(`{"stream_name":"KEPT","config":{"name":"c%[1]d","deliver_policy":"by_start_sequence","opt_start_seq":%[2]d,"deliver_subject":"in.%[1]d","filter_subject":%[3]q,`+
		`"ack_policy":"none","max_deliver":1,"mem_storage":true,"num_replicas":1,"inactive_threshold":300000000000,"idle_heartbeat":5000000000}}`, i, start, load.KeptTopic)
	return fmt.Sprintf(natsInbox, i, fmt.Sprintf("$JS.API.CONSUMER.CREATE.KEPT.c%d.%s", i, load.KeptTopic), len(config), config)
}

// centrifugeRecover returns the command that subscribes and recovers what followed position,
// the epoch of the stream.
func centrifugeRecover(_ int, position string) string {
	offset := 1 // of the first message
	if position == "" {
		offset = 0
	}
	return fmt.Sprintf(`{"id":3,"subscribe":{"channel":%q,"recover":true,"epoch":%q,"offset":%d}}`, load.KeptTopic, position, offset)
}

var epoch = regexp.MustCompile(`"epoch":"([^"]+)"`)

func centrifugeEpoch(received []byte) (string, error) {
	found := epoch.FindSubmatch(received)
	if found == nil {
		return "", fmt.Errorf("no epoch in %q", received)
	}
	return string(found[1]), nil
}

// mqttSession returns the packet CONNECT of a client with a session that persists.
func mqttSession(i int) string {
	name := fmt.Sprintf("c%05d", i)
	return "\x10" + string(rune(12+len(name))) + "\x00\x04MQTT\x04\x00\x00\x00\x00" + string(rune(len(name))) + name
}

// mqttSessions makes n sessions that subscribe with QoS 1. It connects by TCP: mosquitto takes up to
// 100 ms for each connection by WebSocket.
func mqttSessions(srv *load.Server, n int) error {
	topic := load.KeptTopic
	subscribe := "\x82" + string(rune(5+len(topic))) + "\x00\x01\x00" + string(rune(len(topic))) + topic + "\x01"
	for i := range n {
		c, err := net.Dial("tcp", srv.Feed)
		if err != nil {
			return err
		}
		_, err = io.WriteString(c, mqttSession(i)+subscribe)
		if err == nil {
			_, err = io.ReadFull(c, make([]byte, 4+5)) // CONNACK, SUBACK
		}
		if err == nil {
			_, err = io.WriteString(c, "\xe0\x00") // DISCONNECT
		}
		c.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// mqttPublishAbout publishes what sessions keep with QoS 1, the rest with QoS 0.
func mqttPublishAbout(dst, message []byte) []byte {
	topic := about(message)
	kept := string(topic) == load.KeptTopic
	head, size := byte(0x30), 2+len(topic)+len(message)
	if kept {
		head, size = 0x32, size+2
	}
	dst = binary.AppendUvarint(append(dst, head), uint64(size))
	dst = append(binary.BigEndian.AppendUint16(dst, uint16(len(topic))), topic...)
	if kept {
		dst = append(dst, 0, 1) // the packet identifier; the server has taken the packet before it reads the next
	}
	return append(dst, message...)
}
