package zmtp

import (
	"context"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
)

// lateMetadata is a [Mechanism] that can be given its metadata after it was made.
type lateMetadata interface{ setLocal(zap.Metadata) }

// askProperties learns what we tell the peer and hands it to m.
func (c *Conn) askProperties(ctx context.Context, m Mechanism) error {
	late, ok := m.(lateMetadata)
	if !ok {
		return fmt.Errorf("zmtp: the mechanism %s takes no metadata during its handshake", m.Name())
	}
	local, err := c.o.Properties(ctx)
	if err != nil {
		return err
	}
	if err := checkLocal(local); err != nil {
		return err
	}
	c.o.SocketType = SocketType(local.Get("Socket-Type"))
	if !c.o.SocketType.Valid() {
		return errSocketType(c.o.SocketType)
	}
	late.setLocal(local)
	return nil
}

// lateClient asks for the metadata of a client side right before its READY or INITIATE:
// at once where that is the first command, else when the server has sent its WELCOME.
type lateClient struct {
	Mechanism
	conn *Conn
}

func (l *lateClient) Next(ctx context.Context, in *Command) (*Command, error) {
	if due := in == nil && l.Name() == zap.NULL || in != nil && in.Name == cmdWelcome; due {
		if err := l.conn.askProperties(ctx, l.Mechanism); err != nil {
			return nil, err
		}
	}
	return l.Mechanism.Next(ctx, in)
}

// What can be given its metadata late: every client side, and all server sides at once.

func (c *nullClient) setLocal(m zap.Metadata)  { c.local = m }
func (c *plainClient) setLocal(m zap.Metadata) { c.local = m }
func (c *curveClient) setLocal(m zap.Metadata) { c.local = m }
func (s *server) setLocal(m zap.Metadata)      { s.security.Local = m }
