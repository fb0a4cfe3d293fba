package backend

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// model is a small and slow picture of who has to receive what on a shared ROUTER or DEALER.
// Its clients have different rights, its controllers different users; all of them come, send,
// answer and go at random. Each message has a text of its own.
type model struct {
	t        *testing.T
	s        *inbound
	envelope bool // requests carry one
	clients  []*modelClient
	peers    []*modelPeer
	number   int // of the last message

	sent, received int // whole messages, an unasked one once however many receive it
}

type modelClient struct {
	name   string
	socket Socket
	in     *inbox
	mu     sync.Mutex
	may    map[string]bool // ids of peers that it may send to
}

func (c *modelClient) mayAddress(id []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.may[string(id)]
}

type modelPeer struct {
	id       string
	conn     *zmtp.Conn
	got      chan zmtp.Message
	open     []zmtp.Message // requests that it has not answered
	heldBack []string       // unasked messages that no client could have
}

func (m *model) text(kind, from string) string {
	m.number++
	return fmt.Sprintf("%s %s %d", kind, from, m.number)
}

func (m *model) pick() (*modelClient, *modelPeer) {
	return m.clients[rand.IntN(len(m.clients))], m.peers[rand.IntN(len(m.peers))]
}

func (m *model) router() bool { return m.s.o.SocketType == zmtp.ROUTER }

// step does something at random and checks what follows.
func (m *model) step() {
	c, p := m.pick()
	switch n := rand.IntN(20); {
	case n < 7 && c.socket != nil:
		m.request(c, p)
	case n < 12 && len(p.open) > 0:
		m.answer(p)
	case n < 14 && p.conn != nil && len(p.open) == 0:
		m.unasked(p)
	case n == 14:
		m.comeOrGo(c)
	case n == 15:
		m.connectOrClose(p)
	case n == 16 && c.socket != nil && m.router():
		c.mu.Lock()
		c.may[p.id] = !c.may[p.id]
		c.mu.Unlock()
		c.socket.Recheck()
		m.expectHeld(c)
	case n == 17:
		m.forget()
	}
	m.settle()
	m.oneAtATime()
}

func (m *model) request(c *modelClient, p *modelPeer) {
	text := m.text("ask", c.name)
	if m.router() {
		if !c.may[p.id] {
			return // the stream would refuse it
		}
		send(m.t, c.socket, message(p.id, text))
	} else {
		send(m.t, c.socket, message(text))
	}
	m.sent++
}

// answer answers the oldest request. It must reach its asker, or be counted.
func (m *model) answer(p *modelPeer) {
	asked := p.open[0]
	p.open = p.open[1:]
	reply := clone(asked)
	last := len(reply) - 1
	reply[last] = []byte("re " + string(asked[last]))
	m.sent++
	write(m.t, p.conn, reply)
	synctest.Wait()
	asker := strings.Fields(string(asked[last]))[1]
	for _, c := range m.clients {
		if c.socket != nil && c.name == asker {
			m.expect(c, p, string(reply[last]))
			m.received++
		}
	}
}

// unasked sends what no client has asked for.
func (m *model) unasked(p *modelPeer) {
	text := m.text("event", p.id)
	m.sent++
	write(m.t, p.conn, message(text))
	synctest.Wait()
	if !m.router() {
		return // it is dropped and counted
	}
	taken := false
	for _, c := range m.clients {
		if c.socket != nil && c.may[p.id] {
			m.expect(c, p, text)
			taken = true
		}
	}
	if taken {
		m.received++
	} else {
		p.heldBack = append(p.heldBack, text)
		p.heldBack = p.heldBack[max(0, len(p.heldBack)-m.s.o.HighWaterMark):]
	}
}

func (m *model) expect(c *modelClient, p *modelPeer, text string) {
	m.t.Helper()
	if m.router() {
		text = p.id + "|" + text
	}
	if len(c.in.arrived) == 0 {
		m.t.Fatalf("%s did not receive %q", c.name, text)
	}
	want(m.t, c.in.next(m.t), text)
}

// expectHeld checks that c has received what was held back until a client like it came.
func (m *model) expectHeld(c *modelClient) {
	synctest.Wait()
	var texts, got []string
	for _, p := range m.peers {
		if c.may[p.id] {
			for _, text := range p.heldBack {
				texts = append(texts, p.id+"|"+text)
			}
			p.heldBack = nil
		}
	}
	for range texts {
		got = append(got, c.in.next(m.t))
	}
	want(m.t, sorted(got), sorted(texts))
	m.received += len(texts)
}

func (m *model) comeOrGo(c *modelClient) {
	if c.socket != nil {
		c.socket.Close()
		c.socket = nil
		c.name += "'" // who comes back is somebody else
		return
	}
	c.socket, c.in = m.s.attach(AttachOptions{MayAddress: c.mayAddress})
	if m.router() {
		m.expectHeld(c)
	}
}

func (m *model) connectOrClose(p *modelPeer) {
	if p.conn != nil {
		p.conn.Close()
		p.conn, p.open, p.heldBack = nil, nil, nil
		return
	}
	theirs := zmtp.DEALER
	if !m.router() {
		theirs = zmtp.ROUTER
	}
	conn := m.s.connect(p.id, zmtp.Options{SocketType: theirs, RoutingID: []byte(p.id)})
	got := make(chan zmtp.Message, 1000)
	p.conn, p.got = conn, got
	go func() {
		for {
			msg, err := conn.ReadMessage()
			if err != nil {
				return
			}
			got <- msg
		}
	}()
}

// forget has all peers forget their requests, so that the turns end by the time-out.
func (m *model) forget() {
	time.Sleep(time.Hour)
	m.settle()
	for _, p := range m.peers {
		p.open = nil
	}
}

// settle takes the requests that have reached the peers, and checks that they are there by
// right and that nobody has received anything else.
func (m *model) settle() {
	synctest.Wait()
	for _, p := range m.peers {
		for len(p.got) > 0 {
			msg := <-p.got
			m.received++
			if p.conn == nil {
				continue
			}
			if (len(msg) == 2 && isEnvelope(msg[0])) != m.envelope {
				m.t.Fatalf("peer %s got %q", p.id, msg)
			}
			p.open = append(p.open, msg)
		}
	}
	for _, c := range m.clients {
		if c.in != nil {
			c.in.empty(m.t)
		}
	}
	if m.t.Failed() {
		m.t.FailNow()
	}
}

// oneAtATime checks that no peer has requests of several clients without envelopes.
func (m *model) oneAtATime() {
	askers := func(a, b zmtp.Message) bool {
		return strings.Fields(string(a[len(a)-1]))[1] == strings.Fields(string(b[len(b)-1]))[1]
	}
	for _, p := range m.peers {
		if !m.envelope && len(slices.CompactFunc(slices.Clone(p.open), askers)) > 1 && !m.departed(p) {
			m.t.Fatalf("peer %s serves several clients at a time: %q", p.id, p.open)
		}
	}
}

// departed reports whether a request of a client that has left is among those that p has:
// these have one turn together.
func (m *model) departed(p *modelPeer) bool {
	for _, msg := range p.open {
		asker := strings.Fields(string(msg[len(msg)-1]))[1]
		if !slices.ContainsFunc(m.clients, func(c *modelClient) bool { return c.name == asker && c.socket != nil }) {
			return true
		}
	}
	return false
}

// TestModel compares shared ROUTER and DEALER sockets with the model, and checks that nothing
// vanishes: what was sent was received or counted, or it waits.
func TestModel(t *testing.T) {
	for _, o := range []ListenOptions{
		{Options: Options{SocketType: zmtp.ROUTER, HighWaterMark: 20}},
		{Options: Options{SocketType: zmtp.ROUTER, HighWaterMark: 20}, Envelope: true},
		{Options: Options{SocketType: zmtp.DEALER}},
	} {
		for range 20 {
			synctest.Test(t, func(t *testing.T) {
				m := &model{t: t, s: newInbound(t, o), envelope: o.Envelope || o.SocketType == zmtp.DEALER}
				defer m.s.close()
				for i := range 4 {
					m.clients = append(m.clients, &modelClient{name: fmt.Sprint("c", i), may: map[string]bool{"h1": i < 2, "h2": i == 1 || i == 2}})
				}
				for _, id := range []string{"h1", "h2", "h3"} {
					m.peers = append(m.peers, &modelPeer{id: id})
				}
				for _, p := range m.peers {
					m.connectOrClose(p)
				}
				for range 500 {
					m.step()
				}
				st := m.s.Stats()
				if counted := int(st.Unroutable + st.Overflow + st.Unasked); m.sent != m.received+counted+st.Waiting {
					t.Errorf("%s: %d sent, %d received, %d counted, %d waiting", o.SocketType, m.sent, m.received, counted, st.Waiting)
				}
			})
		}
	}
}
