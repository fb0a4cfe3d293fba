package main

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

// messageSize is what all peers publish, in octets.
const messageSize = 100

// feed publishes to a server: as a ZeroMQ PUB that the server connects to, or as a
// publisher that connects to the server.
type feed struct {
	listener net.Listener // PUB
	encode   func(dst, message []byte) []byte
	topics   int // 0: all messages are of one topic

	mu     sync.Mutex
	conns  []net.Conn
	buffer []byte
	sent   int64

	// burst is as many messages as are published at a time where their age is not asked
	// for, encoded once: the publisher must not be what limits the others.
	burst []byte
}

// burstSize is how many messages at the most are published at a time.
const burstSize = 512

const topic = "bench"

// publish sends n messages that tell when.
func (f *feed) publish(n int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buffer = f.buffer[:0]
	now := clock()
	for range n {
		f.buffer = f.encode(f.buffer, f.message(now))
	}
	return f.write(f.buffer, n)
}

// flood sends n messages, at most burstSize.
func (f *feed) flood(n int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.burst == nil {
		for range burstSize {
			f.burst = f.encode(f.burst, f.message(0))
		}
	}
	return f.write(f.burst[:len(f.burst)/burstSize*n], n)
}

// write writes to the server, or to all that have connected to our PUB and are still there.
func (f *feed) write(p []byte, n int) error {
	f.sent += int64(n)
	kept := f.conns[:0]
	for _, c := range f.conns {
		if _, err := c.Write(p); err == nil {
			kept = append(kept, c)
		} else if f.listener == nil {
			return err
		}
	}
	f.conns = kept
	return nil
}

// message makes one that tells when it was made.
func (f *feed) message(now int64) []byte {
	about := topic
	if f.topics > 0 {
		about = topicName(rand.IntN(f.topics))
	}
	m := fmt.Appendf(nil, "%s %s%016x ", about, stampMark, now)
	return append(m, strings.Repeat("x", messageSize-len(m))...)
}

// topicName is one of many topics, as devices would name them.
func topicName(i int) string { return fmt.Sprintf("house/%05d/room/%02d", i/20, i%20) }

func (f *feed) close() {
	if f.listener != nil {
		f.listener.Close()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.conns {
		c.Close()
	}
}

// pub is a ZeroMQ PUB on address. It sends everything and leaves filtering to the other
// side, which subscribes to all that is sent.
func pub(address string) (*feed, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	f := &feed{listener: l, encode: zmtpFrame}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				in, err := zmtpHandshake(nc, "PUB")
				if err != nil {
					nc.Close()
					return
				}
				f.mu.Lock()
				f.conns = append(f.conns, nc)
				f.mu.Unlock()
				io.Copy(io.Discard, in) // subscriptions
			}()
		}
	}()
	return f, nil
}

func zmtpFrame(dst, message []byte) []byte {
	return append(append(dst, 0, byte(len(message))), message...)
}

// zmtpHandshake speaks ZMTP 3.0 with NULL (23/ZMTP).
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

// echo is a ZeroMQ server on address that answers every message with itself.
func echo(address, socketType string) (net.Listener, error) {
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
			go func() {
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
			}()
		}
	}()
	return l, nil
}

// dialFeed connects to a server's port for publishers, says hello, and waits for the
// answer if there is one to be waited for.
func dialFeed(address, hello string, answer int, encode func(dst, message []byte) []byte) (*feed, error) {
	var nc net.Conn
	var err error
	for range 100 {
		if nc, err = net.Dial("tcp", address); err == nil {
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
	return &feed{conns: []net.Conn{nc}, encode: encode}, nil
}

// How each publisher frames a message.

func natsPub(dst, message []byte) []byte {
	dst = fmt.Appendf(dst, "PUB %s %d\r\n", topic, len(message))
	return append(append(dst, message...), "\r\n"...)
}

func mqttPublish(dst, message []byte) []byte {
	dst = append(dst, 0x30, byte(2+len(topic)+len(message)), 0, byte(len(topic)))
	return append(append(dst, topic...), message...)
}

// framed is for the servers that this program hosts: two octets of length.
func framed(dst, message []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(message))), message...)
}

// credit is for a server that makes the messages itself: one octet for each.
func credit(dst, _ []byte) []byte { return append(dst, 0) }
