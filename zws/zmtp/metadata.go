package zmtp

import (
	"context"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
)

// maxPropertyValue is 23/ZMTP's limit of a property's value, in bytes.
const maxPropertyValue = 1<<31 - 1

// checkLocal checks that m can be sent as metadata.
func checkLocal(m zap.Metadata) error {
	if len(m) > zap.MaxProperties {
		return fmt.Errorf("zmtp: %d metadata properties, at most %d are allowed", len(m), zap.MaxProperties)
	}
	for _, p := range m {
		if len(p.Name) == 0 || len(p.Name) > 255 {
			return fmt.Errorf("zmtp: metadata name %.32q of %d bytes, want 1 to 255", p.Name, len(p.Name))
		}
		if len(p.Value) > maxPropertyValue {
			return fmt.Errorf("zmtp: metadata %.32q: value of %d bytes, at most %d are allowed", p.Name, len(p.Value), maxPropertyValue)
		}
	}
	return nil
}

// localSetter is a [Mechanism] whose metadata can be set after it was made: every client
// side, and through server every server side.
type localSetter interface{ setLocal(zap.Metadata) }

func (c *nullClient) setLocal(m zap.Metadata)  { c.local = m }
func (c *plainClient) setLocal(m zap.Metadata) { c.local = m }
func (c *curveClient) setLocal(m zap.Metadata) { c.local = m }
func (s *server) setLocal(m zap.Metadata)      { s.security.Local = m }

// loadProperties calls Options.Properties and sets the result as the metadata of m.
func (c *Conn) loadProperties(ctx context.Context, m Mechanism) error {
	setter, ok := m.(localSetter)
	if !ok {
		return fmt.Errorf("zmtp: mechanism %s does not support Options.Properties", m.Name())
	}
	local, err := c.o.Properties(ctx)
	if err != nil {
		return err
	}
	if err := checkLocal(local); err != nil {
		return err
	}
	c.o.SocketType = SocketType(local.Get("Socket-Type"))
	if err := c.o.SocketType.Validate(); err != nil {
		return fmt.Errorf("zmtp: Options.Properties: %w", err)
	}
	setter.setLocal(local)
	return nil
}

// deferredClient is a client side that loads its metadata right before it sends READY or
// INITIATE: NULL at the start, the others when the server's WELCOME has arrived.
type deferredClient struct {
	Mechanism
	conn *Conn
}

func (d *deferredClient) Next(ctx context.Context, in *Command) (*Command, error) {
	if due := in == nil && d.Name() == zap.NULL || in != nil && in.Name == cmdWelcome; due {
		if err := d.conn.loadProperties(ctx, d.Mechanism); err != nil {
			return nil, err
		}
	}
	return d.Mechanism.Next(ctx, in)
}
