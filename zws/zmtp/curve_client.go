package zmtp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Name is CURVE.
func (Curve) Name() zap.Mechanism { return zap.CURVE }

// NewClient makes the client side of CURVE and draws its transient key. It fails if Secret
// is not the secret key of Public, if ServerKey is no usable public key, and on metadata
// that cannot be written.
func (c Curve) NewClient(local zap.Metadata) (Mechanism, error) {
	if err := checkLocal(local); err != nil {
		return nil, err
	}
	if err := checkKeyPair(c.Public, c.Secret); err != nil {
		return nil, err
	}
	m := &curveClient{handshake: handshake{mechanism: zap.CURVE}, long: c, local: local}
	var err error
	if m.public, m.secret, err = newKeyPair(randomOr(c.Rand)); err != nil {
		return nil, err
	}
	if m.shared, err = agree(&c.ServerKey, &m.secret); err != nil {
		return nil, errors.New("zmtp: CURVE without a usable server key")
	}
	m.open = m.sendHello
	return m, nil
}

// curveClient: HELLO →, ← WELCOME, INITIATE →, ← READY.
type curveClient struct {
	handshake
	long           Curve // C, c and S
	local          zap.Metadata
	public, secret key           // C' and c'
	shared         key           // of the boxes between C' and S
	session        *curveTraffic // from WELCOME on
}

// The client's short nonces count its commands.
const (
	nonceHello    = 1
	nonceInitiate = 2
)

// sendHello: "The HELLO Command".
func (c *curveClient) sendHello() (*Command, error) {
	data := make([]byte, 2+helloPadding, helloSize)
	data[0] = 1 // version 1.0
	data = append(data, c.public[:]...)
	data = seal(data, make([]byte, helloZeros), prefixHello, newShortNonce(nonceHello), &c.shared)
	c.step = c.receiveWelcome
	return &Command{Name: cmdHello, Data: data}, nil
}

// receiveWelcome: "The WELCOME Command".
func (c *curveClient) receiveWelcome(_ context.Context, in *Command) (*Command, error) {
	if err := c.expectOrError(in, cmdWelcome); err != nil {
		return nil, err
	}
	if len(in.Data) != welcomeSize {
		return nil, c.missized(in, "168")
	}
	welcome, ok := unseal(nil, in.Data, prefixWelcome, &c.shared)
	if !ok {
		return nil, c.malformed(cmdWelcome, "its box does not open: not the server with this key")
	}
	head, cookie := cut(welcome, keySize)
	transient := key(head) // S'
	shared, err := agree(&transient, &c.secret)
	if err != nil {
		return nil, c.malformed(cmdWelcome, err.Error())
	}
	c.session = &curveTraffic{
		shared:   shared,
		sent:     curveStream{prefix: prefixMessageClient, nonce: nonceInitiate},
		received: curveStream{prefix: prefixMessageServer},
	}
	clear(c.secret[:]) // "SHALL discard this key pair": from here on only the shared key is used
	return c.sendInitiate(&transient, cookie)
}

// sendInitiate: "The INITIATE Command".
func (c *curveClient) sendInitiate(transient *key, cookie []byte) (*Command, error) {
	vouch, err := c.vouch(transient)
	if err != nil {
		return nil, err
	}
	message := slices.Concat(c.long.Public[:], vouch, c.local.Append(nil))
	data := seal(bytes.Clone(cookie), message, prefixInitiate, newShortNonce(nonceInitiate), &c.session.shared)
	c.step = c.receiveReady
	return &Command{Name: cmdInitiate, Data: data}, nil
}

// vouch is Box [C',S](C->S'): the long-term key answers for the transient one, to this
// server only.
func (c *curveClient) vouch(transient *key) ([]byte, error) {
	shared, err := agree(transient, &c.long.Secret)
	if err != nil {
		return nil, c.malformed(cmdWelcome, err.Error())
	}
	nonce, err := newLongNonce(randomOr(c.long.Rand))
	if err != nil {
		return nil, err
	}
	return seal(nil, slices.Concat(c.public[:], c.long.ServerKey[:]), prefixVouch, nonce, &shared), nil
}

// receiveReady: "The READY Command".
func (c *curveClient) receiveReady(_ context.Context, in *Command) (*Command, error) {
	if err := c.expectOrError(in, cmdReady); err != nil {
		return nil, err
	}
	if len(in.Data) < minReady {
		return nil, c.missized(in, "at least 30")
	}
	ready, ok := unseal(nil, in.Data, prefixReady, &c.session.shared)
	if !ok {
		return nil, c.malformed(cmdReady, "its box does not open")
	}
	metadata, err := c.parsePeer(cmdReady, ready)
	if err != nil {
		return nil, err
	}
	c.session.received.nonce = binary.BigEndian.Uint64(in.Data)
	c.peer = &Peer{Mechanism: zap.CURVE, Metadata: metadata}
	c.long, c.local = Curve{}, nil
	c.finish(c.session)
	return nil, nil
}
