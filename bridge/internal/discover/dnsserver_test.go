package discover

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// dnsServer is a DNS server on the loopback interface, by UDP and TCP.
type dnsServer struct {
	t    *testing.T
	udp  net.PacketConn
	tcp  net.Listener
	wait sync.WaitGroup

	mu      sync.Mutex
	answer  func(q dnsmessage.Message, tcp bool) [][]byte // what is sent for a query, one after the other
	queries int
}

func startDNS(t *testing.T, answer func(q dnsmessage.Message, tcp bool) [][]byte) *dnsServer {
	t.Helper()
	s := &dnsServer{t: t, answer: answer}
	var err error
	if s.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if s.udp, err = net.ListenPacket("udp", s.tcp.Addr().String()); err != nil {
		t.Fatal(err)
	}
	s.wait.Go(s.serveUDP)
	s.wait.Go(s.serveTCP)
	t.Cleanup(func() {
		s.udp.Close()
		s.tcp.Close()
		s.wait.Wait()
	})
	return s
}

func (s *dnsServer) serveUDP() {
	buf := make([]byte, 4096)
	for {
		n, from, err := s.udp.ReadFrom(buf)
		if err != nil {
			return
		}
		for _, msg := range s.handle(buf[:n], false) {
			_, _ = s.udp.WriteTo(msg, from)
		}
	}
}

func (s *dnsServer) serveTCP() {
	for {
		conn, err := s.tcp.Accept()
		if err != nil {
			return
		}
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err == nil {
			query := make([]byte, binary.BigEndian.Uint16(size[:]))
			if _, err := io.ReadFull(conn, query); err == nil {
				for _, msg := range s.handle(query, true) {
					_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
				}
			}
		}
		conn.Close()
	}
}

func (s *dnsServer) handle(query []byte, tcp bool) [][]byte {
	var q dnsmessage.Message
	if err := q.Unpack(query); err != nil {
		s.t.Errorf("the server got a bad query: %v", err)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries++
	return s.answer(q, tcp)
}

// asked returns how many queries there were.
func (s *dnsServer) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queries
}

// resolverFor returns a resolver whose resolv.conf names the servers; one that is nil does not
// answer. options is a line of the file.
func resolverFor(t *testing.T, options string, servers ...*dnsServer) *resolver {
	t.Helper()
	text := options + "\n"
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	addresses := make(map[string]string)
	for i, s := range servers {
		name := net.IPv4(192, 0, 2, byte(i+1)).String()
		text += "nameserver " + name + "\n"
		addresses[name+":53"] = silent.LocalAddr().String()
		if s != nil {
			addresses[name+":53"] = s.tcp.Addr().String()
		}
	}
	file := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return &resolver{file: file, dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addresses[address])
	}}
}

// reply is a response to q that a test completes.
func reply(q dnsmessage.Message) *dnsmessage.Message {
	return &dnsmessage.Message{
		Header:    dnsmessage.Header{ID: q.ID, Response: true, RecursionAvailable: true},
		Questions: q.Questions,
	}
}

func pack(t *testing.T, m *dnsmessage.Message) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return b
}

func srvRecord(name, target string, port uint16, ttl uint32) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: ttl},
		Body:   &dnsmessage.SRVResource{Target: dnsmessage.MustNewName(target), Port: port, Priority: 10, Weight: 5},
	}
}

func alias(name, target string, ttl uint32) dnsmessage.Resource {
	return dnsmessage.Resource{
		Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: ttl},
		Body:   &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(target)},
	}
}
