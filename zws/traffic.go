package zws

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// traffic is a client's side of a handshake and of what follows, over whatever carries
// frames. One goroutine at a time may call Recv, which also answers pings, so somebody
// should be in it; all other methods may be called by any goroutine.
type traffic struct {
	options   *DialOptions
	mechanism zmtp.Mechanism // nil on bare ZWS2.0
	peer      *zmtp.Peer
	relayed   bool
	minor     byte // of ZMTP 3, which the peer behind a relay speaks

	// read reads a frame, whose body is valid until the next; write writes one.
	read  func() (zmtp.Frame, error)
	write func(zmtp.Frame) error
	// hangUp ends a read that waits, and everything else.
	hangUp func() error

	writing sync.Mutex // held over write, and over the encoding before it
}

// Peer is what the server told of itself, or behind a relay who is there.
func (t *traffic) Peer() *zmtp.Peer { return t.peer }

// Relayed tells whether the peer is behind a relay, and which ZMTP 3 it speaks. A relay
// tells so to those only that offer the subprotocol with "+".
func (t *traffic) Relayed() (minor byte, ok bool) { return t.minor, t.relayed }

// Send writes one message and returns when the system has taken it, at most
// DialOptions.WriteTimeout later. Its frames are not kept.
func (t *traffic) Send(m zmtp.Message) error {
	if len(m) == 0 {
		return errors.New("zws: a message has at least one frame")
	}
	t.writing.Lock()
	defer t.writing.Unlock()
	for i, body := range m {
		if err := t.seal(zmtp.Frame{More: i < len(m)-1, Body: body}); err != nil {
			return err
		}
	}
	return nil
}

// Subscribe asks for the messages that begin with any of the topics.
func (t *traffic) Subscribe(topics ...[]byte) error { return t.subscriptions("SUBSCRIBE", 1, topics) }

// Unsubscribe takes back what Subscribe asked for with the same topics.
func (t *traffic) Unsubscribe(topics ...[]byte) error { return t.subscriptions("CANCEL", 0, topics) }

// subscriptions sends messages, as 45/ZWS has it, or what ZMTP 3.1 has in their place to a
// peer behind a relay that speaks it.
func (t *traffic) subscriptions(command string, first byte, topics [][]byte) error {
	for _, topic := range topics {
		err := error(nil)
		if t.minor > 0 {
			err = t.command(zmtp.Command{Name: command, Data: topic})
		} else {
			err = t.Send(subscription(first, topic))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Recv returns the next message, which is the caller's; for a PUB or XPUB that is a
// subscription, 01 or 00 and the topic. When the server closes, the error is a *CloseError.
func (t *traffic) Recv() (zmtp.Message, error) {
	var m zmtp.Message
	size := int64(0)
	for {
		f, err := t.read()
		if err != nil {
			return nil, err
		}
		if t.mechanism != nil {
			if f, err = t.mechanism.Decode(f); err != nil {
				return nil, err
			}
		}
		if f.Command {
			subscribed, err := t.receiveCommand(f.Body)
			switch {
			case subscribed != nil && len(m) > 0:
				return nil, fmt.Errorf("%w: a subscription inside a message", zmtp.ErrProtocol)
			case subscribed != nil || err != nil:
				return subscribed, err
			}
			continue
		}
		if size += int64(len(f.Body)); size > t.options.MaxMessage || len(m) == t.options.MaxFrames {
			return nil, fmt.Errorf("zws: %w: message of more than %d octets or %d frames", zmtp.ErrTooLarge, t.options.MaxMessage, t.options.MaxFrames)
		}
		m = append(m, append([]byte{}, f.Body...))
		if !f.More {
			return m, nil
		}
	}
}

// receiveCommand acts on a command between messages: what a peer behind a relay says in
// ZMTP 3.1, or a notice, which is turned into a call. Others are ignored.
func (t *traffic) receiveCommand(body []byte) (subscribed zmtp.Message, err error) {
	command, err := zmtp.ParseCommand(body)
	switch {
	case err != nil:
		return nil, err
	case t.relayed:
		return t.receiveRelayed(command)
	case t.options.Notice != nil:
		t.notice(command)
	}
	return nil, nil
}

// receiveRelayed answers PING and gives a subscription the form that it has in 45/ZWS.
func (t *traffic) receiveRelayed(c zmtp.Command) (zmtp.Message, error) {
	publishes := t.options.SocketType == zmtp.PUB || t.options.SocketType == zmtp.XPUB
	switch {
	case c.Name == "SUBSCRIBE" && publishes:
		return subscription(1, c.Data), nil
	case c.Name == "CANCEL" && publishes:
		return subscription(0, c.Data), nil
	case c.Name == "PING" && len(c.Data) >= 2: // 37/ZMTP: time-to-live, context
		return nil, t.command(zmtp.Command{Name: "PONG", Data: c.Data[2:]})
	}
	return nil, nil
}

// notice turns a notice into a call.
func (t *traffic) notice(command zmtp.Command) {
	data := command.Data
	switch {
	case command.Name == "LOST" && len(data) == 8:
		t.options.Notice(Notice{Lost: binary.BigEndian.Uint64(data)})
	case command.Name == "EXPIRING" && len(data) == 4:
		t.options.Notice(Notice{Expiring: time.Duration(binary.BigEndian.Uint32(data)) * time.Second})
	case command.Name == "UNSUBSCRIBED":
		t.options.Notice(Notice{Unsubscribed: append([]byte{}, data...)})
	case command.Name == "WELCOME":
		t.options.Notice(Notice{Renewed: true})
	}
}

// command writes a command between messages.
func (t *traffic) command(c zmtp.Command) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	return t.seal(zmtp.Frame{Command: true, Body: c.Append(nil)})
}

// seal encodes and writes a frame. Lock held on entry.
func (t *traffic) seal(f zmtp.Frame) error {
	if t.mechanism != nil {
		var err error
		if f, err = t.mechanism.Encode(f); err != nil {
			return err
		}
	}
	return t.write(f)
}

// tell writes a frame of the handshake.
func (t *traffic) tell(f zmtp.Frame) error {
	t.writing.Lock()
	defer t.writing.Unlock()
	return t.write(f)
}

// login is the client side of a mechanism's handshake.
func (t *traffic) login(ctx context.Context) error {
	mechanism, err := t.options.Security.NewClient(t.options.local())
	if err != nil {
		return err
	}
	if err := t.runMechanism(ctx, mechanism); err != nil {
		return t.refused(err)
	}
	t.mechanism, t.peer = mechanism, mechanism.Peer()
	if theirs := t.peer.SocketType(); theirs != "" && !t.options.SocketType.Accepts(theirs) {
		return &zmtp.SocketTypeError{Ours: t.options.SocketType, Peer: theirs}
	}
	return nil
}

func (t *traffic) runMechanism(ctx context.Context, mechanism zmtp.Mechanism) error {
	var in *zmtp.Command
	for {
		out, err := mechanism.Next(ctx, in)
		if err != nil {
			return err
		}
		if out != nil {
			if err := t.tell(zmtp.Frame{Command: true, Body: out.Append(nil)}); err != nil {
				return err
			}
		}
		if mechanism.Done() {
			return nil
		}
		command, err := t.readCommand(in == nil)
		if err != nil {
			if mechanism.Name() == zap.CURVE && in == nil {
				return closedEarly(err, zmtp.ErrClosedBeforeWelcome)
			}
			return closedEarly(err, zmtp.ErrClosedDuringLogin)
		}
		in = &command
	}
}

// readCommand reads a command of the handshake. Before the first a relay may tell that it is
// one.
func (t *traffic) readCommand(first bool) (zmtp.Command, error) {
	for {
		f, err := t.read()
		if err != nil {
			return zmtp.Command{}, err
		}
		if !f.Command {
			return zmtp.Command{}, fmt.Errorf("%w: a message where a command of the handshake is due", zmtp.ErrProtocol)
		}
		c, err := zmtp.ParseCommand(f.Body)
		if err != nil || c.Name != greetingCommand || !first || t.relayed {
			return c, err
		}
		if len(c.Data) != 1 {
			return c, fmt.Errorf("%w: GREETING with %d octets of data: want 1", zmtp.ErrProtocol, len(c.Data))
		}
		t.relayed, t.minor = true, c.Data[0]
	}
}

// closedEarly adds to a connection that broke during the login what that means.
func closedEarly(err, meaning error) error {
	closed, ok := errors.AsType[*CloseError](err)
	if ok && (closed.Code == CodeAbnormal || closed.Code == CodeNoStatus) {
		closed.Err = meaning
	}
	return err
}

// reasonTime is how long after an ERROR the close frame with its reason may come. libzmq
// sends none.
const reasonTime = time.Second

// refused adds to a refusal the code and reason that follow it when the server closes.
func (t *traffic) refused(err error) error {
	refusal, ok := errors.AsType[*zmtp.RefusedError](err)
	if !ok {
		return err
	}
	defer time.AfterFunc(reasonTime, func() { t.hangUp() }).Stop()
	for {
		_, err := t.read()
		if err == nil {
			continue
		}
		if closed, ok := errors.AsType[*CloseError](err); ok && closed.Code != CodeAbnormal {
			closed.Status, closed.Err = refusal.Status, refusal
			return closed
		}
		return &CloseError{Code: CodeAbnormal, Status: refusal.Status, Reason: strings.ToValidUTF8(refusal.Reason, "\uFFFD"), Err: refusal}
	}
}
