package zws

import (
	"encoding/binary"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// teller is how a dialect tells its clients what is no message. Those methods that take a
// batch are the writer's.
type teller interface {
	// listens tells whether the client of l hears of losses, of the end of its login and of
	// dropped subscriptions.
	listens(l *Login) bool
	lost(b *Batch, n uint64) error
	expiring(b *Batch, seconds uint32) error
	unsubscribed(b *Batch, topic []byte) error
	// renewed tells that another token was taken.
	renewed(s *Conn)
	// farewell goes before the close frame.
	farewell(b *Batch, cause *CloseError)
}

// silence is the teller of dialects without commands.
type silence struct{}

func (silence) listens(*Login) bool               { return false }
func (silence) lost(*Batch, uint64) error         { return nil }
func (silence) expiring(*Batch, uint32) error     { return nil }
func (silence) unsubscribed(*Batch, []byte) error { return nil }
func (silence) renewed(*Conn)                     {}
func (silence) farewell(*Batch, *CloseError)      {}

// commands is the teller of dialects with a mechanism. Notices are for clients that asked
// for them. There is no farewell: an ERROR takes the place of READY only.
type commands struct{ silence }

func (commands) listens(l *Login) bool { return l.Notices() }

// lost is a notice: LOST and 8 octets count.
func (commands) lost(b *Batch, n uint64) error {
	return b.command("LOST", binary.BigEndian.AppendUint64(nil, n))
}

// expiring is a notice: EXPIRING and 4 octets seconds.
func (commands) expiring(b *Batch, seconds uint32) error {
	return b.command("EXPIRING", binary.BigEndian.AppendUint32(nil, seconds))
}

// unsubscribed is a notice: UNSUBSCRIBED and the topic.
func (commands) unsubscribed(b *Batch, topic []byte) error { return b.command("UNSUBSCRIBED", topic) }

// command appends a command of the traffic, sealed if the session seals.
func (b *Batch) command(name string, data []byte) error {
	c := zmtp.Command{Name: name, Data: data}
	return b.frame(zmtp.Frame{Command: true, Body: c.Append(nil)})
}

func (commands) renewed(s *Conn) { s.send(zmtp.Command{Name: "WELCOME"}) }
