package load

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"
)

// MessageSize is the size in bytes of every message that is published.
const MessageSize = 100

// Topic is the topic of all messages unless [Profile.Topics] asks for many.
const Topic = "bench"

// An Encoder appends message to dst in the framing of a server's publishers.
type Encoder func(dst, message []byte) []byte

// Publisher publishes to a server: as a ZeroMQ PUB that the server connects to, or as a
// client that connects to the server's port for publishers.
type Publisher struct {
	listener net.Listener // of the PUB; otherwise nil
	encode   Encoder
	topics   int // 0: all messages have the same topic

	mu     sync.Mutex
	conns  []net.Conn
	buffer []byte
	sent   int64

	// burst holds burstSize messages, encoded once, for messages whose age is not measured:
	// the publisher must not be the bottleneck.
	burst []byte
}

// burstSize is the largest number of messages that are published with one write.
const burstSize = 512

// publish sends n messages that carry the current time.
func (p *Publisher) publish(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buffer = p.buffer[:0]
	now := clock()
	for range n {
		p.buffer = p.encode(p.buffer, p.message(now))
	}
	return p.write(p.buffer, n)
}

// publishAbout sends one message of each of topics, with the current time.
func (p *Publisher) publishAbout(topics []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.buffer = p.buffer[:0]
	now := clock()
	for _, t := range topics {
		p.buffer = p.encode(p.buffer, message(t, now))
	}
	return p.write(p.buffer, len(topics))
}

// flood sends n messages, at most burstSize.
func (p *Publisher) flood(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.burst == nil {
		for range burstSize {
			p.burst = p.encode(p.burst, p.message(0))
		}
	}
	return p.write(p.burst[:len(p.burst)/burstSize*n], n)
}

// write writes to the server, or to every connection of the PUB that still works.
// Lock held on entry.
func (p *Publisher) write(b []byte, n int) error {
	p.sent += int64(n)
	kept := p.conns[:0]
	for _, c := range p.conns {
		if _, err := c.Write(b); err == nil {
			kept = append(kept, c)
		} else if p.listener == nil {
			return err
		}
	}
	p.conns = kept
	return nil
}

// message returns a message that carries the time now.
func (p *Publisher) message(now int64) []byte {
	about := Topic
	if p.topics > 0 {
		about = TopicName(rand.IntN(p.topics))
	}
	return message(about, now)
}

func message(about string, now int64) []byte {
	m := fmt.Appendf(nil, "%s %s%016x ", about, stampMark, now)
	return append(m, strings.Repeat("x", MessageSize-len(m))...)
}

// TopicName returns topic i of many, named as devices would name theirs.
func TopicName(i int) string { return fmt.Sprintf("house/%05d/room/%02d", i/20, i%20) }

func (p *Publisher) close() {
	if p.listener != nil {
		p.listener.Close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

// listenPub returns a ZeroMQ PUB that listens on address. It sends every message to every peer that has
// subscribed to something, whatever that is: peers subscribe only to what the load publishes.
func listenPub(address string) (*Publisher, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	p := &Publisher{listener: l, encode: zmtpFrame}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(nc)
		}
	}()
	return p, nil
}

// serve accepts one peer of the PUB. It gets messages once it has subscribed, which is all that a peer of
// a PUB sends with ZMTP 3.0.
func (p *Publisher) serve(nc net.Conn) {
	in, err := zmtpHandshake(nc, "PUB")
	if err == nil {
		_, err = in.Peek(1)
	}
	if err != nil {
		nc.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, nc)
	p.mu.Unlock()
	io.Copy(io.Discard, in)
}

func zmtpFrame(dst, message []byte) []byte {
	return append(append(dst, 0, byte(len(message))), message...)
}

// zmtpHandshake performs the handshake of ZMTP 3.0 with NULL (23/ZMTP).
func zmtpHandshake(nc net.Conn, socketType string) (*bufio.Reader, error) {
	greeting := make([]byte, 64)
	copy(greeting, "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL")
	ready := "\x05READY\x0bSocket-Type" + string(binary.BigEndian.AppendUint32(nil, uint32(len(socketType)))) + socketType
	if socketType == "ROUTER" || socketType == "DEALER" {
		ready += "\x08Identity\x00\x00\x00\x00"
	}
	command := append([]byte{4, byte(len(ready))}, ready...)
	if _, err := nc.Write(append(greeting, command...)); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(nc, 64<<10)
	if _, err := io.ReadFull(in, greeting); err != nil {
		return nil, err
	}
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	_, err := in.Discard(int(head[1]))
	return in, err
}

// listenEcho returns a ZeroMQ server on address that sends every message back.
func listenEcho(address, socketType string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go echo(nc, socketType)
		}
	}()
	return l, nil
}

func echo(nc net.Conn, socketType string) {
	defer nc.Close()
	in, err := zmtpHandshake(nc, socketType)
	if err != nil {
		return
	}
	buffer := make([]byte, 256<<10)
	for {
		n, err := in.Read(buffer)
		if err != nil {
			return
		}
		if _, err := nc.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// DialPublisher connects to the port of srv for publishers, sends hello, and reads an answer
// of the given size in bytes.
func DialPublisher(srv *Server, hello string, answer int, encode Encoder) (*Publisher, error) {
	var nc net.Conn
	var err error
	for range 100 {
		if nc, err = net.Dial("tcp", srv.Feed); err == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(nc, hello); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(nc, make([]byte, answer)); err != nil {
		return nil, err
	}
	go io.Copy(io.Discard, nc)
	return &Publisher{conns: []net.Conn{nc}, encode: encode}, nil
}
