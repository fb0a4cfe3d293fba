package zws

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/zwsbridge/zwsbridge/zws/internal/muxframe"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// History (PROTOCOL.md, "History"): a client that asks for it gets the position of each
// message, can resume at one and get last values, and can name a queue that keeps what it
// has not acknowledged. Other clients see nothing of it.

const (
	// MaxPosition is the longest position, in bytes.
	MaxPosition = 64
	// MaxQueueName is the longest name of a queue, in bytes.
	MaxQueueName = 255
)

// HistoryOp is what a [HistoryRequest] asks for.
type HistoryOp int

const (
	// HistoryResume subscribes to all topics and asks for what followed a position. It comes
	// before any subscription of the channel, at most once, and not with a named queue.
	HistoryResume HistoryOp = iota + 1
	// HistoryAck acknowledges all messages up to a position.
	HistoryAck
	// HistoryLast subscribes to one topic and asks for its last values.
	HistoryLast
)

// HistoryRequest is what a client asks beside messages. Its receiver owns it.
type HistoryRequest struct {
	Op HistoryOp
	// Topics are those to subscribe to: any number for HistoryResume, one for HistoryLast.
	Topics [][]byte
	// At is the position. It is empty if the client has none, or one that no server has made.
	At []byte
}

// mark is what a message carries for clients that asked for history.
type mark struct {
	at []byte // its position; nil if it has none
	// micros is when it was published, in microseconds since 1970, if it is replayed; 0 if it
	// is not.
	micros uint64
}

// replayed returns the mark of a message that was published at t.
func replayed(at []byte, t time.Time) mark {
	return mark{at, uint64(max(t.UnixMicro(), 0))}
}

// state of a channel's client, as far as it is about history.
type historyState struct {
	// asked is set if the client asked for history, marked if the route keeps one as well.
	// Neither changes after READY.
	asked, marked bool
	subscribed    bool                                               // only the reader uses it
	request       func(ctx context.Context, r *HistoryRequest) error // AcceptOptions.Request
}

// begin prepares the channel for a client that has asked for history.
func (s *historyState) begin(l *Login, o AcceptOptions) {
	s.asked = l.History
	s.marked = l.History && o.History
	s.request = o.Request
}

// note remembers that the client has subscribed. The reader calls it with each message.
func (s *historyState) note(m zmtp.Message) {
	if s.asked && !s.subscribed {
		sub, ok := zmtp.ParseSubscription(m)
		s.subscribed = ok && !sub.Cancel
	}
}

// ask passes on what the client asks beside messages. The reader calls it.
func (ch *Channel) ask(r *HistoryRequest) error {
	l, s := ch.Login(), &ch.history
	if len(r.At) > MaxPosition {
		r.At = nil
	}
	if r.Op != HistoryAck && l.SocketType != "" && !l.SocketType.Subscribes() {
		return noSubscriptions(l.SocketType)
	}
	if r.Op == HistoryResume {
		switch {
		case l.Queue != nil:
			return protocolError("resume with a named queue: the server resumes it by itself")
		case s.subscribed:
			return protocolError("resume after a subscription: it must come first, and once")
		}
	}
	s.subscribed = s.subscribed || r.Op != HistoryAck
	if s.request == nil {
		return nil
	}
	return s.request(ch.Context(), r)
}

// askedHistory reads what the client's metadata says about history.
func (l *Login) askedHistory() error {
	l.History = l.Metadata.Get(historyProperty) == "1"
	if name, ok := l.Metadata.Lookup(queueProperty); ok {
		l.History, l.Queue = true, &name
		return checkQueueName(name)
	}
	return nil
}

// The properties of a client's metadata that are about history. The server's has the first one
// too.
const (
	historyProperty = "History"
	queueProperty   = "Queue"
)

func checkQueueName(name string) error {
	if len(name) > MaxQueueName {
		return protocolError(fmt.Sprintf("queue name of %d bytes: at most %d are allowed", len(name), MaxQueueName))
	}
	return nil
}

func noSubscriptions(t zmtp.SocketType) error {
	return protocolError("this route has no subscriptions: its clients are " + string(t))
}

// historyCommand reads RESUME, ACK or LAST; nil if c is another command.
func historyCommand(c zmtp.Command) (*HistoryRequest, error) {
	r, rest := &HistoryRequest{}, c.Data
	ok := true
	switch c.Name {
	case "RESUME":
		r.Op = HistoryResume
		for r.At, rest, ok = cutField(rest, 1); ok && len(rest) > 0; {
			var topic []byte
			if topic, rest, ok = cutField(rest, 2); ok {
				r.Topics = append(r.Topics, topic)
			}
		}
	case "ACK":
		r.Op = HistoryAck
		r.At, rest, ok = cutField(rest, 1)
	case "LAST":
		r.Op, r.Topics, rest = HistoryLast, [][]byte{rest}, nil
	default:
		return nil, nil
	}
	if !ok || len(rest) > 0 {
		return nil, protocolError(fmt.Sprintf("malformed %s: the lengths in it do not add up", c.Name))
	}
	return r, nil
}

// cutField cuts off a field that follows its length, a number of n bytes.
func cutField(p []byte, n int) (field, rest []byte, ok bool) {
	if len(p) < n {
		return nil, nil, false
	}
	size := 0
	for _, b := range p[:n] {
		size = size<<8 | int(b)
	}
	if p = p[n:]; len(p) < size {
		return nil, nil, false
	}
	return p[:size:size], p[size:], true
}

// appendPosition appends a position after its length.
func appendPosition(dst, at []byte) []byte {
	return append(append(dst, byte(len(at))), at...)
}

// appendAt appends the data of an AT.
func (k mark) appendAt(dst []byte) []byte {
	dst = appendPosition(dst, k.at)
	if k.micros > 0 {
		dst = binary.BigEndian.AppendUint64(dst, k.micros)
	}
	return dst
}

// The text form of positions, in JSON and in strings of Go.
var positionText = base64.RawURLEncoding.Strict()

// parsePosition reads the text form of a position; nil if it is not one.
func parsePosition(text string) []byte {
	if len(text) > positionText.EncodedLen(MaxPosition) || strings.ContainsAny(text, "\r\n") { // which the package skips
		return nil
	}
	at, err := positionText.DecodeString(text)
	if err != nil {
		return nil
	}
	return at
}

func (commandNotifier) resumed(b *Batch, at []byte, recovered, gap bool) error {
	return b.command("RESUMED", appendPosition([]byte{resumedFlags(recovered, gap)}, at))
}

func (commandNotifier) live(b *Batch, at []byte) error {
	return b.command("LIVE", appendPosition(nil, at))
}

// resumedFlags returns the flags of RESUMED, which are the same in all binary dialects.
func resumedFlags(recovered, gap bool) (flags byte) {
	if recovered {
		flags |= muxframe.FlagRecovered
	}
	if gap {
		flags |= muxframe.FlagGap
	}
	return flags
}
