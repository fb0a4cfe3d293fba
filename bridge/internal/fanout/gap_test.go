package fanout

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/internal/history"
	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// upstream publishes to a hub, and is away at times.
type upstream interface {
	publish(topic string, number uint64)
	away()
	flush()
}

// ingesting is the upstream of a hub that writes to its log.
type ingesting struct{ *Hub }

func (u ingesting) publish(topic string, number uint64) {
	u.Message(zmtp.Message{[]byte(topic), binary.BigEndian.AppendUint64(nil, number)})
}
func (u ingesting) away()  { u.Gap("test") }
func (u ingesting) flush() { u.Flush() }

// following is the upstream of a hub whose log is a copy: all that comes until flush is one batch.
type following struct {
	*Hub
	b     history.Builder
	begun bool
}

func (u *following) begin() {
	if !u.begun {
		u.b.Begin(u.log.End().Sequence)
		u.begun = true
	}
}

func (u *following) publish(topic string, number uint64) {
	u.begin()
	u.b.Message(zmtp.Message{[]byte(topic), binary.BigEndian.AppendUint64(nil, number)}, 0)
}

// away alternates between a backend that was away and a new leader.
func (u *following) away() {
	u.begin()
	if u.b.Next()%2 == 0 {
		u.b.Gap("test", 0)
	} else {
		u.b.Start(u.log, history.NewGeneration(), [][]byte{nil}, 0)
	}
}

func (u *following) flush() {
	if u.begun {
		if err := u.Replicate(u.b.Batch()); err != nil {
			panic(err)
		}
		u.begun = false
	}
}

// upstreams are hubs with a log that keeps everything, and what feeds them.
var upstreams = map[string]func(t *testing.T) (*Hub, upstream){
	"ingesting": func(t *testing.T) (*Hub, upstream) {
		h := newKeeping(t, history.Options{})
		h.Keep([][]byte{nil})
		return h, ingesting{h}
	},
	"following": func(t *testing.T) (*Hub, upstream) {
		h := newKeeping(t, history.Options{Replica: true})
		u := &following{Hub: h}
		u.begin()
		u.b.Start(h.log, history.NewGeneration(), [][]byte{nil}, 0)
		u.flush()
		return h, u
	},
}

func newKeeping(t *testing.T, o history.Options) *Hub {
	o.Topics, o.LastValues = [][]byte{nil}, true
	log, err := history.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return New(Options{Log: log})
}

// witness is a client that notes what it is given.
type witness struct {
	*reader
	t   *testing.T
	log *history.Log
	got []string
	at  []byte // of the last RESUMED
}

func (w *witness) note(text string) {
	w.room--
	w.got = append(w.got, text)
}

func (w *witness) Message(m zmtp.Message, _ []byte) error {
	w.note(fmt.Sprint(binary.BigEndian.Uint64(m[1])))
	return nil
}

func (w *witness) Replayed(m zmtp.Message, at []byte, _ time.Time) error { return w.Message(m, at) }

func (w *witness) Resumed(at []byte, recovered, gap bool) error {
	w.at = at
	w.note(fmt.Sprintf("resumed(%v,%v)", recovered, gap))
	return nil
}

// Live notes the LIVE that follows a RESUMED. A client that resumes there has everything.
func (w *witness) Live(at []byte) error {
	if w.at == nil {
		return nil
	}
	w.at = nil
	w.note("live")
	var p history.Position
	if err := p.UnmarshalBinary(at); err != nil {
		w.t.Errorf("live at %x: %v", at, err)
	}
	if _, answer := w.log.Resume(p, history.NewMatch([][]byte{nil}, nil)); !answer.Recovered {
		w.t.Errorf("resumed at %x: %+v", at, answer)
	}
	return nil
}

// TestGap has clients do things and checks what they are given. A gap is written "gap", a message
// with its number and topic, "read" lets the client take everything, "read1" one thing.
func TestGap(t *testing.T) {
	const told = " resumed(true,true) live"
	for _, tc := range []struct{ name, do, want string }{
		{"between messages", "sub:a 1a gap 2a read", "1" + told + " 2"},
		{"nothing waits", "sub:a gap read 1a read", told + " 1"},
		{"several in a row", "sub:a gap gap read gap 1a gap read", told + told + " 1" + told},
		{"messages of others between", "sub:a gap 1b gap read", told},
		{"messages of others between, and read", "sub:a gap read 1b gap read", told + told},
		{"subscribed afterwards", "gap sub:a 1a read", "1"},
		{"subscribed between two", "sub:a gap read sub:b gap read", told + told},
		{"no subscription", "gap read sub:a 1a unsub:a gap read", "1"},
		{"one of two subscriptions is left", "sub:a sub:b unsub:a gap read", told},
		{"last values", "1a gap last:a gap 2b read", "1" + told},
		{"in the answer to a resume", "1a gap 2a resume:a read", "resumed(false,true) 1 2 live"},
		{"behind a resume", "1a resume:a read 2a gap 3a read", "resumed(false,false) 1 live 2" + told + " 3"},
		{"while it is read", "1a 2a resume:a read1 read1 gap 3a read", "resumed(false,false) 1 2 resumed(true,true) 3 live"},
		{"several while it is read", "1a resume:a read1 2a gap gap 3b gap 4a gap read",
			"resumed(false,false) 1 2 resumed(true,true) resumed(true,true) resumed(true,true) 4 resumed(true,true) live"},
		{"answered and while it is read", "1a gap 2a resume:a read1 gap 3a read", "resumed(false,true) 1 2 resumed(true,true) 3 live"},
		{"subscribed while it is read", "1b 2b resume:b read1 read1 3a sub:a gap 4a read", "resumed(false,false) 1 2 resumed(true,true) 4 live"},
		{"the only subscription, while the log is read", "1b 2b resume:b read1 read1 unsub:b gap 4a read", "resumed(false,false) 1 live"},
		{"the queue is full", "sub:a 1a 2a 3a gap 4a 5a gap read 6a read",
			"1 2 3 resumed(true,true) 4 5 resumed(true,true) live 6"},
		{"the queue is full behind it", "sub:a 1a gap 2a 3a 4a read", "1" + told + " 2 3 4"},
		{"full, and messages of others", "sub:a 1a 2a 3a gap 4b gap read", "1 2 3 resumed(true,true) resumed(true,true) live"},
		{"what waits is left to the log", "sub:a 1a gap 2a squeeze 3a gap read", "1 resumed(true,true) 2 3 resumed(true,true) live"},
		{"what waits behind it is left to the log", "sub:a gap 1a 2a squeeze 3a read", "resumed(true,true) 1 2 3 live"},
	} {
		for kind, make := range upstreams {
			t.Run(tc.name+"/"+kind, func(t *testing.T) {
				h, u := make(t)
				w := &witness{reader: &reader{wake: nil}, t: t, log: h.log}
				gapScript(t, h, u, w, true, tc.do)
				if got := strings.Join(w.got, " "); got != strings.TrimSpace(tc.want) {
					t.Errorf("got  %s\nwant %s", got, tc.want)
				}
			})
		}
	}
}

// TestGapUnasked: a client that keeps no positions is told nothing.
func TestGapUnasked(t *testing.T) {
	for _, make := range upstreams {
		h, u := make(t)
		w := &witness{reader: &reader{}, t: t, log: h.log}
		if gapScript(t, h, u, w, false, "sub:a 1a gap 2a read"); strings.Join(w.got, " ") != "1 2" {
			t.Errorf("got %v", w.got)
		}
	}
}

// gapScript has the client of w do what the words say.
func gapScript(t *testing.T, h *Hub, u upstream, w *witness, follow bool, words string) {
	w.wake = make(chan struct{}, 1)
	budget := queue.NewBudget(1<<20, nil)
	w.q = queue.New(queue.Options{Messages: 2, OnFull: queue.Replay, Budget: budget}, w)
	m := h.Join(w.q, MemberOptions{Follow: follow})
	for word := range strings.FieldsSeq(words) {
		op, topic, _ := strings.Cut(word, ":")
		if op != "gap" && (op[0] < '0' || op[0] > '9') {
			u.flush()
		}
		var err error
		switch op {
		case "sub":
			err = m.Subscribe([]byte(topic), false)
		case "last":
			err = m.SubscribeLast([]byte(topic), false)
		case "unsub":
			m.Unsubscribe([]byte(topic))
		case "resume":
			err = m.Resume(nil, true, false, []byte(topic))
		case "gap":
			u.away()
		case "read":
			w.room = 1 << 20
			w.q.Next(w)
		case "read1":
			w.room = 1
			w.q.Next(w)
		case "squeeze": // others of its connection need room
			budget.Take(1 << 40)
			budget.Give(1 << 40)
		default:
			u.publish(op[1:], uint64(op[0]-'0'))
			if _, together := u.(*following); !together {
				u.flush()
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
