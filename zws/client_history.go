package zws

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// Resumed is the server's answer to Resume, and to the name of a queue: what was missed follows,
// and then a Notification with Live. It also comes later, with the place between the messages: with
// Recovered and Gap if the server may have missed messages just before, without Recovered if it does
// not keep what a client that is too slow has missed.
type Resumed struct {
	// Recovered is set if nothing is missing since the position. If it is not, everything
	// follows that the server still keeps.
	Recovered bool
	// Gap is set if the server was without a connection to a backend meanwhile, so that it may
	// have missed messages itself.
	Gap bool
}

const (
	// ackDelay is how long an acknowledgement may wait for others.
	ackDelay = 100 * time.Millisecond
	// ackMessages is how many messages are acknowledged without delay.
	ackMessages = 256
)

// clientHistory is the client's side of a history on one socket. Its methods are those of Client
// and MuxChannel.
type clientHistory struct {
	kept  bool // the server keeps one; does not change when the socket is open
	send  func(ctx context.Context, r *HistoryRequest) error
	plain func(ctx context.Context, topics ...[]byte) error // subscribes

	mu        sync.Mutex
	queue     bool      // acknowledges what is received
	at        []byte    // after what Recv has returned
	published time.Time // of the message that Recv has returned last
	returned  int       // messages that Recv has returned and that are not acknowledged
	acked     []byte
	timer     *time.Timer // of the next acknowledgement; nil if none is due
	due       []byte      // what it acknowledges
}

// History reports whether the server keeps a history here: positions are known, Resume recovers
// messages and SubscribeLast gets last values.
func (h *clientHistory) History() bool { return h.kept }

// Position returns the position after the last message that Recv has returned, as a string that
// can be stored and passed to Resume on another connection; empty if the server has named none.
// While Recv waits it moves when the server says that nothing was missed (Notification.Live).
// It includes that message, so a caller that stores it does so when it is done with it.
func (h *clientHistory) Position() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return positionText.EncodeToString(h.at)
}

// Published returns when the message that Recv has returned last was published, if the server
// has replayed it or sent it as a last value; zero for a live one.
func (h *clientHistory) Published() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.published
}

// Resume subscribes to topics and asks for the messages that followed position. It must come
// before any other subscription, only once, and not with a queue. The answer is a Notification
// with Resumed. A position that is empty or unknown to the server recovers what it still keeps.
// If the server keeps no history (see History), Resume only subscribes. It waits as Send does.
func (h *clientHistory) Resume(ctx context.Context, position string, topics ...[]byte) error {
	if !h.kept {
		return h.plain(ctx, topics...)
	}
	return h.request(ctx, &HistoryRequest{Op: HistoryResume, Topics: topics, At: parsePosition(position)})
}

// SubscribeLast subscribes like Subscribe and asks for the last value of each topic that
// matches. If the server keeps no history (see History), it only subscribes. It waits as Send
// does.
func (h *clientHistory) SubscribeLast(ctx context.Context, topics ...[]byte) error {
	if !h.kept {
		return h.plain(ctx, topics...)
	}
	for _, topic := range topics {
		if err := h.request(ctx, &HistoryRequest{Op: HistoryLast, Topics: [][]byte{topic}}); err != nil {
			return err
		}
	}
	return nil
}

// Ack acknowledges all messages that Recv has returned, and waits as Send does. It is only
// needed before Close: a client with a queue acknowledges a message by itself soon after Recv was
// called again. Without a queue it does nothing.
func (h *clientHistory) Ack(ctx context.Context) error {
	h.mu.Lock()
	at := h.at
	if !h.kept || !h.queue || bytes.Equal(at, h.acked) {
		h.mu.Unlock()
		return nil
	}
	h.acked, h.due, h.returned = at, at, 0
	h.mu.Unlock()
	return h.request(ctx, &HistoryRequest{Op: HistoryAck, At: at})
}

func (h *clientHistory) request(ctx context.Context, r *HistoryRequest) error {
	for _, topic := range r.Topics {
		if len(topic) > muxframe.MaxLong {
			return fmt.Errorf("zws: topic of %d bytes: at most %d are allowed", len(topic), muxframe.MaxLong)
		}
	}
	return h.send(ctx, r)
}

// take is called when Recv returns a message, with the mark of that.
func (h *clientHistory) take(k mark) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.move(k.at)
	h.published = time.Time{}
	if k.micros > 0 {
		h.published = time.UnixMicro(int64(k.micros))
	}
	h.returned++
}

// reach is called by Recv when the server says that the client has everything up to at. The
// application waits, so it is done with what it got before.
func (h *clientHistory) reach(at []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.move(at)
	h.finished()
}

func (h *clientHistory) move(at []byte) {
	if len(at) > 0 {
		h.at = at
	}
}

// next is called when Recv is called: the application is done with what it got before.
func (h *clientHistory) next() {
	if !h.kept {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.finished()
}

// finished has everything acknowledged soon. Lock held on entry.
func (h *clientHistory) finished() {
	if !h.queue || bytes.Equal(h.at, h.acked) {
		return
	}
	h.due = h.at
	switch {
	case h.timer == nil:
		h.timer = time.AfterFunc(ackDelay, h.ackDue)
	case h.returned == ackMessages:
		h.timer.Reset(0)
	}
}

// ackDue sends the acknowledgement that is due.
func (h *clientHistory) ackDue() {
	h.mu.Lock()
	at := h.due
	done := bytes.Equal(at, h.acked) // by Ack
	h.timer, h.acked, h.returned = nil, at, 0
	h.mu.Unlock()
	if done {
		return
	}
	// If the connection has ended, Recv returns why, and the messages will be sent again.
	_ = h.send(context.Background(), &HistoryRequest{Op: HistoryAck, At: at})
}

// stop ends acknowledging.
func (h *clientHistory) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timer != nil {
		h.timer.Stop()
	}
	h.queue = false
}

// command returns the command that asks for r.
func (r *HistoryRequest) command() zmtp.Command {
	switch r.Op {
	case HistoryResume:
		c := zmtp.Command{Name: "RESUME", Data: appendPosition(nil, r.At)}
		for _, topic := range r.Topics {
			c.Data = append(binary.BigEndian.AppendUint16(c.Data, uint16(len(topic))), topic...)
		}
		return c
	case HistoryLast:
		return zmtp.Command{Name: "LAST", Data: r.Topics[0]}
	}
	return zmtp.Command{Name: "ACK", Data: appendPosition(nil, r.At)}
}

// frame returns the frame that asks for r on a channel.
func (r *HistoryRequest) frame(channel uint32) muxframe.Frame {
	switch r.Op {
	case HistoryResume:
		return muxframe.Frame{Op: muxframe.Resume, Channel: channel, At: r.At, Topics: r.Topics}
	case HistoryLast:
		return muxframe.Frame{Op: muxframe.Last, Channel: channel, Topic: r.Topics[0]}
	}
	return muxframe.Frame{Op: muxframe.Ack, Channel: channel, At: r.At}
}

// receiveHistory acts on a command about history. It returns false if c is another.
func (s *clientSocket) receiveHistory(c zmtp.Command) (bool, error) {
	rest, ok := c.Data, true
	var flags byte
	var k mark
	switch c.Name {
	case "RESUMED":
		if ok = len(rest) > 0; ok {
			flags, rest = rest[0], rest[1:]
		}
	case "AT", "LIVE":
	default:
		return false, nil
	}
	if ok {
		k.at, rest, ok = cutField(rest, 1)
	}
	if ok && c.Name == "AT" && len(rest) == 8 {
		k.micros, rest = binary.BigEndian.Uint64(rest), nil
	}
	if !ok || len(rest) > 0 {
		return true, fmt.Errorf("%w: malformed %s", zmtp.ErrProtocol, c.Name)
	}
	k.at = bytes.Clone(k.at) // outlives the frame
	if c.Name == "AT" {
		s.mark = k
		return true, nil
	}
	s.history.reach(k.at)
	if s.options.Notify != nil {
		n := Notification{Live: true}
		if c.Name == "RESUMED" {
			n = Notification{Resumed: resumed(flags)}
		}
		s.options.Notify(n)
	}
	return true, nil
}

func resumed(flags byte) *Resumed {
	return &Resumed{Recovered: flags&muxframe.FlagRecovered != 0, Gap: flags&muxframe.FlagGap != 0}
}
