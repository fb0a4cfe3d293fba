package zmtp

// subscriptionCommands is the minor version of ZMTP 3 from which SUBSCRIBE and CANCEL are
// commands.
const subscriptionCommands = 1

// The first byte of a subscription that travels as a message (23/ZMTP).
const (
	cancelByte    = 0
	subscribeByte = 1
)

// Subscription is a request of a SUB or XSUB socket for the messages whose first frame
// begins with Topic, or the end of such a request (29/PUBSUB). It has two forms on the wire:
// a message of one frame, 01 or 00 and the topic, in ZMTP 3.0 and in ZWS 2.0; a command,
// SUBSCRIBE or CANCEL, in ZMTP 3.1.
type Subscription struct {
	// Topic is a prefix; empty means every message.
	Topic []byte
	// Cancel ends the subscription to Topic.
	Cancel bool
}

// ParseSubscription reads a subscription from its message form and reports whether m is one.
// Topic aliases m. XSUB and XPUB sockets exchange other messages too, so a false is not an
// error.
func ParseSubscription(m Message) (Subscription, bool) {
	if len(m) != 1 || len(m[0]) == 0 || m[0][0] > subscribeByte {
		return Subscription{}, false
	}
	return Subscription{Topic: m[0][1:], Cancel: m[0][0] == cancelByte}, true
}

// Subscription reads a subscription from its command form and reports whether c is SUBSCRIBE
// or CANCEL. Topic aliases c.Data.
func (c Command) Subscription() (Subscription, bool) {
	switch c.Name {
	case cmdSubscribe, cmdCancel:
		return Subscription{Topic: c.Data, Cancel: c.Name == cmdCancel}, true
	}
	return Subscription{}, false
}

// Message returns the message form, in memory of its own.
func (s Subscription) Message() Message {
	frame := make([]byte, 1, 1+len(s.Topic))
	frame[0] = s.first()
	return Message{append(frame, s.Topic...)}
}

// Command returns the command form. Data is s.Topic.
func (s Subscription) Command() Command {
	name := cmdSubscribe
	if s.Cancel {
		name = cmdCancel
	}
	return Command{Name: name, Data: s.Topic}
}

// Frame returns s as a peer of ZMTP 3.minor expects it, in memory of its own.
func (s Subscription) Frame(minor byte) Frame {
	if minor < subscriptionCommands {
		return Frame{Body: s.Message()[0]}
	}
	return Frame{Command: true, Body: s.Command().Append(nil)}
}

// first returns the byte before the topic in the message form.
func (s Subscription) first() byte {
	if s.Cancel {
		return cancelByte
	}
	return subscribeByte
}

// WriteSubscriptions sends subscriptions and cancellations to a PUB or XPUB peer, in order,
// in the form that the peer's version expects, all of them in one system call. It may be
// called by several goroutines. An error closes the connection.
func (c *Conn) WriteSubscriptions(subscriptions ...Subscription) error {
	frames := make([]Frame, len(subscriptions))
	for i, s := range subscriptions {
		frames[i] = s.Frame(c.minor)
	}
	return c.writeFrames(frames...)
}

// Subscribe asks the peer for the messages whose first frame begins with one of topics. It is
// WriteSubscriptions for topics alone.
func (c *Conn) Subscribe(topics ...[]byte) error {
	return c.writeTopics(topics, false)
}

// Unsubscribe ends the subscriptions to topics. It is WriteSubscriptions for topics alone.
func (c *Conn) Unsubscribe(topics ...[]byte) error {
	return c.writeTopics(topics, true)
}

func (c *Conn) writeTopics(topics [][]byte, cancel bool) error {
	subscriptions := make([]Subscription, len(topics))
	for i, topic := range topics {
		subscriptions[i] = Subscription{Topic: topic, Cancel: cancel}
	}
	return c.WriteSubscriptions(subscriptions...)
}

// messageForm returns the message form of s, which was parsed from command f. It overwrites
// the last byte of the command's name, so nothing is copied.
func messageForm(f Frame, s Subscription) Frame {
	body := f.Body[len(f.Body)-len(s.Topic)-1:]
	body[0] = s.first()
	return Frame{Body: body}
}
