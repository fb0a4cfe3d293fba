package zws

import (
	"encoding/binary"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// notifier is how a dialect tells its clients what is not a message. The writer calls the
// methods that take a batch.
type notifier interface {
	// enabled reports whether the client of l gets lost, expiring and unsubscribed.
	enabled(l *Login) bool
	lost(b *Batch, n uint64) error
	expiring(b *Batch, seconds uint32) error
	unsubscribed(b *Batch, topic []byte) error
	// resumed and live are for clients that asked for history.
	resumed(b *Batch, at []byte, recovered, gap bool) error
	live(b *Batch, at []byte) error
	// renewed queues the answer to a token that was accepted.
	renewed(c *Conn)
	// pong answers a PING of the client.
	pong(b *Batch, context []byte) error
	// closing appends what goes before the close frame.
	closing(b *Batch, cause *CloseError)
}

// noNotifications is the notifier of dialects without commands.
type noNotifications struct{}

func (noNotifications) enabled(*Login) bool                      { return false }
func (noNotifications) lost(*Batch, uint64) error                { return nil }
func (noNotifications) expiring(*Batch, uint32) error            { return nil }
func (noNotifications) unsubscribed(*Batch, []byte) error        { return nil }
func (noNotifications) resumed(*Batch, []byte, bool, bool) error { return nil }
func (noNotifications) live(*Batch, []byte) error                { return nil }
func (noNotifications) pong(*Batch, []byte) error                { return nil }
func (noNotifications) renewed(*Conn)                            {}
func (noNotifications) closing(*Batch, *CloseError)              {}

// commandNotifier is the notifier of dialects with a mechanism: commands, for clients that
// asked for them.
type commandNotifier struct{ noNotifications }

func (commandNotifier) enabled(l *Login) bool { return l.Notices() }

// lost appends LOST and a count of 8 bytes.
func (commandNotifier) lost(b *Batch, n uint64) error {
	return b.command("LOST", binary.BigEndian.AppendUint64(nil, n))
}

// expiring appends EXPIRING and seconds in 4 bytes.
func (commandNotifier) expiring(b *Batch, seconds uint32) error {
	return b.command("EXPIRING", binary.BigEndian.AppendUint32(nil, seconds))
}

// unsubscribed appends UNSUBSCRIBED and the topic.
func (commandNotifier) unsubscribed(b *Batch, topic []byte) error {
	return b.command("UNSUBSCRIBED", topic)
}

// pong appends PONG and the context of the PING.
func (commandNotifier) pong(b *Batch, context []byte) error {
	return b.command("PONG", context)
}

// command appends a command of the traffic, encrypted if the connection encrypts.
func (b *Batch) command(name string, data []byte) error {
	c := zmtp.Command{Name: name, Data: data}
	return b.frame(zmtp.Frame{Command: true, Body: c.Append(nil)})
}

func (commandNotifier) renewed(c *Conn) { c.send(zmtp.Command{Name: "WELCOME"}) }
