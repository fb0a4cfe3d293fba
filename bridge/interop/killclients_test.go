//go:build interop

package interop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// life is one process of the bridge, from its start until it is killed.
type life struct {
	t       *testing.T
	url     string
	running sync.WaitGroup // its clients
	heard   atomic.Int64   // messages that they have received
	limit   int64
	enough  chan struct{} // takes one value when that limit is reached
	over    atomic.Bool
}

func newLife(t *testing.T, p *program, limit int64) *life {
	return &life{t: t, url: "ws://" + p.address + "/kept", limit: limit, enough: make(chan struct{}, 1)}
}

// count counts a message and says when there are enough.
func (l *life) count() {
	if l.heard.Add(1) == l.limit {
		l.enough <- struct{}{}
	}
}

// failed fails the test for an error that is not because the bridge was killed.
func (l *life) failed(who string, err error) {
	if !l.over.Load() {
		l.t.Errorf("a client that %s: %v", who, err)
	}
}

// subscription is what zws.Client and zws.MuxChannel have in common.
type subscription interface {
	Recv(ctx context.Context) (zmtp.Message, error)
	Subscribe(ctx context.Context, topics ...[]byte) error
	SubscribeLast(ctx context.Context, topics ...[]byte) error
	Resume(ctx context.Context, position string, topics ...[]byte) error
	Position() string
	Published() time.Time
	Close() error
}

// overMux closes the connection with its only channel.
type overMux struct {
	*zws.MuxChannel
	m *zws.MuxClient
}

func (c overMux) Close() error { return c.m.Close() }

// follower is a client that receives everything, over one connection after the other.
type follower struct {
	name, user string
	overMux    bool
	plain      bool    // without a history: it gets its user's queue
	queue      *string // nil: it resumes by itself
	restless   bool    // ends connections by itself

	position    string
	mu          sync.Mutex
	connections []connection // since the last check
	last        uint64       // number that was received last
	count       struct{ messages, connections, replayed, again, gaps, missing, lost int }
}

// connection is what a follower has received over one.
type connection struct {
	fresh   bool // it neither resumes nor has a queue
	resumed *zws.Resumed
	missing int // how often it was told later that the bridge keeps no longer what was to follow
	lost    uint64
	numbers []uint64
}

// alwaysThere reports whether the follower comes back at once and resumes where it was. What is
// acknowledged in a queue is stored once a second, and some bridges do not live as long.
func (f *follower) alwaysThere() bool { return f.queue == nil && !f.plain && !f.restless }

// follow receives until the bridge is killed.
func (f *follower) follow(l *life) {
	for !l.over.Load() && !l.t.Failed() {
		c, err := f.connect(l)
		if err != nil {
			l.failed(f.name, err)
			return
		}
		left := -1
		if f.restless {
			left = rand.IntN(300)
		}
		err = f.receive(l, c, left)
		c.Close()
		if err != nil {
			l.failed(f.name, err)
			return
		}
	}
}

func (f *follower) connect(l *life) (subscription, error) {
	f.mu.Lock()
	f.connections = append(f.connections, connection{fresh: f.queue == nil && f.position == ""})
	f.mu.Unlock()
	c, err := f.dial(l)
	if err != nil {
		return nil, err
	}
	ctx := l.t.Context()
	if f.position != "" && f.queue == nil {
		err = c.Resume(ctx, f.position, []byte("often/"), []byte("rare/"), []byte("often/1"))
	} else {
		err = c.Subscribe(ctx, nil) // one: of two, the first would be live before the second
	}
	if err != nil {
		c.Close()
	}
	return c, err
}

func (f *follower) dial(l *life) (subscription, error) {
	ctx := l.t.Context()
	o := dialOptions(f.user)
	o.Notify = f.notify
	if !f.overMux {
		o.History, o.Queue = !f.plain, f.queue
		return zws.Dial(ctx, l.url, o)
	}
	m, err := zws.DialMux(ctx, l.url, o)
	if err != nil {
		return nil, err
	}
	c, err := m.Open(ctx, zws.ChannelOptions{Route: "/kept", SocketType: zmtp.SUB, History: true, Queue: f.queue})
	if err != nil {
		m.Close()
		return nil, err
	}
	return overMux{c, m}, nil
}

// notify is called before what the notification announces can be received.
func (f *follower) notify(n zws.Notification) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := &f.connections[len(f.connections)-1]
	switch {
	case n.Resumed == nil:
	case c.resumed == nil:
		c.resumed = n.Resumed
	case !n.Resumed.Recovered:
		c.missing++
	}
	c.lost += n.Lost
}

// receive receives until the connection ends, or that many messages.
func (f *follower) receive(l *life, c subscription, left int) error {
	for ; left != 0; left-- {
		m, err := c.Recv(l.t.Context())
		if err != nil {
			return err
		}
		n, err := numberOf(m)
		if err != nil {
			return err
		}
		if !f.plain {
			f.position = c.Position()
		}
		f.mu.Lock()
		at := &f.connections[len(f.connections)-1]
		at.numbers = append(at.numbers, n)
		if !c.Published().IsZero() {
			f.count.replayed++
		}
		f.mu.Unlock()
		l.count()
	}
	return nil
}

// check compares what was received since the last check with what the bridge has stored.
func (f *follower) check(t *testing.T, stored *storedNumbers) {
	t.Helper()
	for _, c := range f.connections {
		f.count.connections++
		f.count.messages += len(c.numbers)
		f.count.lost += int(c.lost)
		if len(c.numbers) == 0 {
			continue
		}
		if err := f.checkFirst(&c, stored); err != nil {
			t.Fatalf("a client that %s: %v; oldest is %d, newest %d", f.name, err, stored.oldest, stored.all[len(stored.all)-1])
		}
		gap := c.resumed != nil && c.resumed.Gap
		if gap {
			f.count.gaps++
		}
		told := gap || f.plain || c.resumed != nil && !c.resumed.Recovered // that something is missing
		i := stored.index(c.numbers[0])
		for k, n := range c.numbers {
			if n != stored.all[i] { // the log has dropped what was to follow, before it was read
				if c.missing--; c.missing < 0 && c.lost == 0 || n < stored.all[i] {
					t.Fatalf("a client that %s received %d, want %d; %d after the first, %+v", f.name, n, stored.all[i], k, c.resumed)
				}
				f.count.missing++
				i, told = stored.index(n), true
			}
			if f.last != 0 && n > f.last+1 && !c.fresh && !told {
				t.Fatalf("a client that %s received %d after %d and was not told of a gap: %+v", f.name, n, f.last, c.resumed)
			}
			if n <= f.last {
				f.count.again++
			}
			f.last = max(f.last, n)
			i++
		}
	}
	f.connections = nil
}

// checkFirst checks that a connection continues where the last one has ended: a queue at the
// latest there.
func (f *follower) checkFirst(c *connection, stored *storedNumbers) error {
	first := c.numbers[0]
	switch {
	case c.fresh || f.last == 0:
		return nil
	case f.plain && c.lost > 0: // its recovered: false
		f.count.missing++
		return nil
	case !f.plain && c.resumed == nil:
		return fmt.Errorf("it was not told that it has resumed after %d", f.last)
	case !f.plain && !c.resumed.Recovered:
		f.count.missing++
		switch {
		case f.queue != nil: // it is new, or what it had acknowledged is not stored or not kept any more
			return nil
		case f.last >= stored.oldest:
			return fmt.Errorf("not recovered after %d, which is kept", f.last)
		case first <= f.last:
			return fmt.Errorf("received %d again, after %d", first, f.last)
		}
		return nil
	}
	next := stored.index(f.last) + 1
	if next == len(stored.all) || first > stored.all[next] {
		return fmt.Errorf("received %d next after %d, %+v", first, f.last, c.resumed)
	}
	if first < stored.all[next] && f.queue == nil && !f.plain {
		return fmt.Errorf("received %d again, after %d", first, f.last)
	}
	return nil
}

// openedPage is what a page has received that asked for last values.
type openedPage []uint64

// openPages opens pages, one after the other, until the bridge is killed.
func (l *life) openPages(pages []openedPage) []openedPage {
	const values, live = 40 + 200, 100
	for !l.over.Load() && !l.t.Failed() {
		f := &follower{name: "asks for last values", user: "eve", overMux: rand.IntN(2) == 0, connections: make([]connection, 1)}
		c, err := f.dial(l)
		if err == nil {
			if err = c.SubscribeLast(l.t.Context(), nil); err == nil {
				err = f.receive(l, c, values+live)
			}
			c.Close()
		}
		if err != nil {
			l.failed(f.name, err)
			return pages
		}
		pages = append(pages, f.connections[0].numbers)
	}
	return pages
}

// check checks that a page has received the newest message of each topic, and all that followed.
func (p openedPage) check(t *testing.T, stored *storedNumbers) {
	t.Helper()
	all := stored.all[:stored.index(slices.Max(p))+1]
	kept, received := map[string][]uint64{}, map[string][]uint64{}
	for _, n := range all {
		kept[topicOf(n)] = append(kept[topicOf(n)], n)
	}
	for _, n := range p {
		received[topicOf(n)] = append(received[topicOf(n)], n)
	}
	for topic, want := range kept {
		got := received[topic]
		if len(got) == 0 || len(got) > len(want) || !slices.Equal(got, want[len(want)-len(got):]) {
			t.Fatalf("a page received %d of %s, want the newest of %d", got, topic, want[max(0, len(want)-len(got)-2):])
		}
	}
	// Below what came without interruption, there is at most one of each topic.
	sorted := slices.Sorted(slices.Values(p))
	i, j := len(all)-1, len(sorted)-1
	for i >= 0 && j >= 0 && all[i] == sorted[j] {
		i, j = i-1, j-1
	}
	seen := map[string]bool{}
	for _, n := range sorted[:j+1] {
		if seen[topicOf(n)] {
			t.Fatalf("a page received %d of %s, and another before", n, topicOf(n))
		}
		seen[topicOf(n)] = true
	}
}

// end ends the bridge by stop once its clients have received enough.
func (l *life) end(stop func()) {
	select {
	case <-l.enough:
	case <-time.After(patience):
		l.t.Error("the clients receive nothing")
	}
	l.over.Store(true)
	stop()
	l.running.Wait()
}
