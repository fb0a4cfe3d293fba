package zws

import (
	"encoding/binary"

	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// teller is how a dialect tells its clients what is no message. Those methods that take a
// batch are the writer's.
type teller interface {
	// listens tells whether the client of l hears of losses and of the end of its login.
	listens(l *Login) bool
	lost(b *Batch, n uint64) error
	expiring(b *Batch, seconds uint32) error
	// renewed tells that another token was taken.
	renewed(s *Session)
	// farewell goes before the close frame.
	farewell(b *Batch, cause *CloseError)
}

// silence is the teller of dialects without commands.
type silence struct{}

func (silence) listens(*Login) bool           { return false }
func (silence) lost(*Batch, uint64) error     { return nil }
func (silence) expiring(*Batch, uint32) error { return nil }
func (silence) renewed(*Session)              {}
func (silence) farewell(*Batch, *CloseError)  {}

// commands is the teller of dialects with a mechanism. Notices are for clients that asked
// for them. There is no farewell: an ERROR takes the place of READY only.
type commands struct{ silence }

func (commands) listens(l *Login) bool { return l.Notices() }

// lost is a notice: LOST and 8 octets count.
func (commands) lost(b *Batch, n uint64) error {
	c := zmtp.Command{Name: "LOST", Data: binary.BigEndian.AppendUint64(nil, n)}
	return b.frame(zmtp.Frame{Command: true, Body: c.Append(nil)})
}

// expiring is a notice: EXPIRING and 4 octets seconds.
func (commands) expiring(b *Batch, seconds uint32) error {
	c := zmtp.Command{Name: "EXPIRING", Data: binary.BigEndian.AppendUint32(nil, seconds)}
	return b.frame(zmtp.Frame{Command: true, Body: c.Append(nil)})
}

func (commands) renewed(s *Session) { s.send(zmtp.Command{Name: "WELCOME"}) }
