package fanout

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// lines is a codec for people: its own text, then frames joined by commas, one message a
// line.
type lines string

func (l lines) AppendMessage(dst []byte, m zmtp.Message, _ []byte) []byte {
	dst = append(dst, l...)
	for i, f := range m {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, f...)
	}
	return append(dst, '\n')
}

// client is an unbounded queue that keeps text.
type client struct {
	noBacklog
	mu     sync.Mutex
	codec  queue.Codec
	text   []byte
	chunks int
	missed int
}

func (c *client) Missed(n uint64) { c.missed += int(n) }

func (c *client) PutRange(chunk *queue.Chunk, from, to int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.chunks++
	if c.codec != nil {
		c.text = append(c.text, chunk.Bytes(from, to)...)
		return nil
	}
	for i := from; i < to; i++ {
		c.text = lines("").AppendMessage(c.text, chunk.Frames(nil, i), nil)
	}
	return nil
}

func (c *client) AddRange(chunk *queue.Chunk, from, to int) (write bool, err error) {
	return false, c.PutRange(chunk, from, to)
}

// puts returns the number of PutRange calls since the last take.
func (c *client) puts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.chunks
}

// take returns the messages since the last call.
func (c *client) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := strings.Split(string(c.text), "\n")
	c.text, c.chunks = nil, 0
	return got[:len(got)-1]
}

// publish makes one upstream read of messages written as "topic,rest".
func publish(h *Hub, msgs ...string) {
	for _, m := range msgs {
		var frames zmtp.Message
		for _, f := range strings.Split(m, ",") {
			frames = append(frames, []byte(f))
		}
		if err := h.Message(frames); err != nil {
			panic(err)
		}
	}
	h.Flush()
}

// odd is a filter that allows topics of odd length.
type odd struct{}

func (odd) Allows(topic []byte) bool { return len(topic)%2 == 1 }

// modelled is a member with an obvious model of what it should receive.
type modelled struct {
	*Member
	*client
	prefix string
	filter Filter
	topics map[string]bool
	want   []string
}

func (p *modelled) wants(topic string) bool {
	if p.filter != nil && !p.filter.Allows([]byte(topic)) {
		return false
	}
	for t := range p.topics {
		if strings.HasPrefix(topic, t) {
			return true
		}
	}
	return false
}

// joinModelled joins a member with a random codec.
func joinModelled(h *Hub, r *rand.Rand) *modelled {
	p := &modelled{topics: map[string]bool{}}
	var codec queue.Codec
	if r.IntN(3) > 0 {
		p.prefix = []string{"", "x:"}[r.IntN(2)]
		codec = lines(p.prefix)
	}
	p.client = &client{codec: codec}
	p.Member = h.Join(p.client, MemberOptions{Codec: codec, Filter: odd{}})
	return p
}

// change leaves, subscribes or unsubscribes at random.
func (p *modelled) change(t *testing.T, r *rand.Rand) {
	topic := word(r)
	switch r.IntN(8) {
	case 0:
		p.Leave()
		p.topics = nil
	case 1, 2, 3:
		for topic := range p.topics { // one of its own
			p.Unsubscribe([]byte(topic))
			delete(p.topics, topic)
			break
		}
	default:
		filtered := r.IntN(10) == 0
		if err := p.Subscribe(topic, filtered); err == nil {
			p.topics[string(topic)] = true
			if filtered {
				p.filter = odd{}
			}
		} else if p.topics != nil {
			t.Fatal(err)
		}
	}
}

// TestModel lets members join, leave, subscribe and unsubscribe at random between messages, and
// compares what each receives with an obvious model, message by message.
func TestModel(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 3))
		o := Options{}
		if seed%3 == 0 {
			o.Flush = func() time.Duration { return time.Hour } // only a forced delivery delivers
		}
		h := New(o)
		var members []*modelled
		for step := range 300 {
			switch r.IntN(6) {
			case 0:
				members = append(members, joinModelled(h, r))
			case 1, 2, 3:
				if len(members) > 0 {
					members[r.IntN(len(members))].change(t, r)
				}
			default:
				var msgs []string
				for i := range 1 + r.IntN(20) {
					topic := string(append(word(r), word(r)...))
					msgs = append(msgs, fmt.Sprintf("%s,%d.%d", topic, step, i))
					for _, p := range members {
						if p.wants(topic) {
							p.want = append(p.want, p.prefix+msgs[i])
						}
					}
				}
				publish(h, msgs...)
			}
		}
		h.mu.Lock()
		h.deliver()
		if h.timer != nil {
			h.timer.Stop()
		}
		h.mu.Unlock()
		for i, p := range members {
			if got := p.take(); !slices.Equal(got, p.want) {
				t.Fatalf("seed %d, member %d: %s", seed, i, cmp.Diff(p.want, got))
			}
			p.Leave()
		}
		checkEmpty(t, h)
	}
}

// checkEmpty checks that a hub without members holds nothing for any.
func checkEmpty(t *testing.T, h *Hub) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.groups) > 0 || len(h.lanes) > 0 || h.members != 0 {
		t.Errorf("left over: %d groups, %d lanes, %d members", len(h.groups), len(h.lanes), h.members)
	}
	for e := h.lingering.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*subscription); len(s.groups) > 0 {
			t.Errorf("%q still has a group", s.topic)
		}
	}
}

// TestGroups checks that members with the same set are one group, regardless of the order in
// which they subscribed, and that they share chunks.
func TestGroups(t *testing.T) {
	h := New(Options{})
	var clients []*client
	var members []*Member
	for i := range 10 {
		c := &client{codec: lines("")}
		m := h.Join(c, MemberOptions{Codec: c.codec})
		set := []string{"a", "b", "c", "d"}
		rand.New(rand.NewPCG(uint64(i), 1)).Shuffle(4, func(i, j int) { set[i], set[j] = set[j], set[i] })
		for _, topic := range set {
			m.Subscribe([]byte(topic), false)
			m.Subscribe([]byte(topic), false) // a set: no second reference
		}
		m.Unsubscribe([]byte("d"))
		m.Unsubscribe([]byte("d"))
		m.Unsubscribe([]byte("never"))
		clients, members = append(clients, c), append(members, m)
	}
	if s := h.Stats(); s.Groups != 1 || s.Members != 10 {
		t.Errorf("%d groups of %d members, want 1 of 10", s.Groups, s.Members)
	}
	publish(h, "a1", "b1", "d1", "c1")
	for _, c := range clients {
		if c.chunks > 2 {
			t.Errorf("one upstream read became %d chunks", c.chunks)
		}
		if diff := cmp.Diff([]string{"a1", "b1", "c1"}, c.take()); diff != "" {
			t.Error(diff)
		}
	}
	if s := h.Stats(); s.Messages != 4 || s.Deliveries != 30 {
		t.Errorf("%d messages, %d deliveries; want 4, 30", s.Messages, s.Deliveries)
	}
	for _, m := range members {
		m.Leave()
		m.Leave()
		if err := m.Subscribe([]byte("a"), false); !errors.Is(err, ErrLeft) {
			t.Errorf("subscribe after Leave: %v", err)
		}
	}
	checkEmpty(t, h)
}

// keeper records the length of the chunks that a slow client would keep alive.
type keeper struct {
	noBacklog
	chunks []int
}

func (*keeper) Missed(uint64) {}

func (k *keeper) PutRange(c *queue.Chunk, from, to int) error {
	k.chunks = append(k.chunks, c.Messages())
	return nil
}

func (k *keeper) AddRange(c *queue.Chunk, from, to int) (write bool, err error) {
	return false, k.PutRange(c, from, to)
}

// TestSparse checks that a client that wants little of a chunk does not keep all of it alive.
func TestSparse(t *testing.T) {
	h := New(Options{})
	var few, all keeper
	m := h.Join(&few, MemberOptions{})
	defer m.Leave()
	m.Subscribe([]byte("rare"), false)
	m = h.Join(&all, MemberOptions{})
	defer m.Leave()
	m.Subscribe(nil, false)
	var msgs []string
	for i := range 100 {
		msgs = append(msgs, fmt.Sprint("often", i))
		if i%10 == 0 {
			msgs = append(msgs, fmt.Sprint("rare", i))
		}
	}
	publish(h, msgs...)
	if diff := cmp.Diff([]int{10}, few.chunks); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{110}, all.chunks); diff != "" {
		t.Error(diff)
	}
}

// TestConcurrent publishes while members join, subscribe, unsubscribe and leave. What a member
// receives of a publisher's topic has no gaps while it is subscribed.
func TestConcurrent(t *testing.T) {
	h := New(Options{})
	const publishers = 3
	var stop, working sync.WaitGroup
	done := make(chan struct{})
	for p := range publishers {
		working.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				h.Message(zmtp.Message{fmt.Appendf(nil, "p%d,%d", p, i)})
				if i%5 == 0 {
					h.Flush()
				}
			}
		})
	}
	for range 8 {
		stop.Go(func() {
			for range 30 {
				c := &client{codec: lines("")}
				m := h.Join(c, MemberOptions{Codec: c.codec})
				for p := range publishers {
					m.Subscribe(fmt.Appendf(nil, "p%d", p), false)
				}
				for p := range publishers {
					m.Unsubscribe(fmt.Appendf(nil, "p%d", p))
				}
				got := c.take()
				next := map[string]int{}
				for _, l := range got {
					topic, rest, _ := strings.Cut(l, ",")
					var n int
					fmt.Sscan(rest, &n)
					if want, ok := next[topic]; ok && n != want {
						t.Errorf("%s: %d, want %d", topic, n, want)
					}
					next[topic] = n + 1
				}
				m.Leave()
			}
		})
	}
	stop.Wait()
	close(done)
	working.Wait()
	checkEmpty(t, h)
}
