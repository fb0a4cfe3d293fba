package zmtp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Name returns CURVE.
func (Curve) Name() zap.Mechanism { return zap.CURVE }

// NewClient returns the client side of CURVE and generates its transient key. It fails if
// Secret does not belong to Public, if ServerKey is not a usable public key, and on metadata
// that cannot be sent.
func (c Curve) NewClient(local zap.Metadata) (Mechanism, error) {
	if err := checkLocal(local); err != nil {
		return nil, err
	}
	if err := checkKeyPair(c.Public, c.Secret); err != nil {
		return nil, err
	}
	m := &curveClient{handshake: handshake{mechanism: zap.CURVE, refusable: true}, long: c, local: local}
	var err error
	if m.public, m.secret, err = newKeyPair(randomOr(c.Rand)); err != nil {
		return nil, err
	}
	if m.shared, err = agree(&c.ServerKey, &m.secret); err != nil {
		return nil, errors.New("zmtp: CURVE: the server key is not a usable public key")
	}
	m.steps = []step{
		{start, m.sendHello},           // HELLO →
		{cmdWelcome, m.receiveWelcome}, // ← WELCOME, INITIATE →
		{cmdReady, m.receiveReady},     // ← READY
	}
	return m, nil
}

type curveClient struct {
	handshake
	long           Curve // C, c and S
	local          zap.Metadata
	public, secret key           // C' and c'
	shared         key           // of the boxes between C' and S
	traffic        *curveTraffic // from WELCOME on
}

// The client's short nonces count its commands.
const (
	nonceHello    = 1
	nonceInitiate = 2
)

// sendHello: "The HELLO Command".
func (c *curveClient) sendHello(context.Context, *Command) (*Command, error) {
	data := make([]byte, 2+helloPadding, helloSize)
	data[0] = 1 // version 1.0
	data = append(data, c.public[:]...)
	data = seal(data, make([]byte, helloZeros), prefixHello, newShortNonce(nonceHello), &c.shared)
	return &Command{Name: cmdHello, Data: data}, nil
}

// receiveWelcome: "The WELCOME Command".
func (c *curveClient) receiveWelcome(_ context.Context, in *Command) (*Command, error) {
	if len(in.Data) != welcomeSize {
		return nil, c.wrongSize(in, "168")
	}
	welcome, ok := unseal(nil, in.Data, prefixWelcome, &c.shared)
	if !ok {
		return nil, c.malformed(cmdWelcome, "its box does not open: the server has another key")
	}
	head, cookie := cut(welcome, keySize)
	transient := key(head) // S'
	shared, err := agree(&transient, &c.secret)
	if err != nil {
		return nil, c.malformed(cmdWelcome, err.Error())
	}
	c.traffic = &curveTraffic{
		shared:   shared,
		sent:     curveStream{prefix: prefixMessageClient, nonce: nonceInitiate},
		received: curveStream{prefix: prefixMessageServer},
	}
	clear(c.secret[:]) // "SHALL discard this key pair": only the shared key is needed from here on
	return c.sendInitiate(&transient, cookie)
}

// sendInitiate: "The INITIATE Command".
func (c *curveClient) sendInitiate(transient *key, cookie []byte) (*Command, error) {
	vouch, err := c.vouch(transient)
	if err != nil {
		return nil, err
	}
	message := slices.Concat(c.long.Public[:], vouch, c.local.Append(nil))
	data := seal(bytes.Clone(cookie), message, prefixInitiate, newShortNonce(nonceInitiate), &c.traffic.shared)
	return &Command{Name: cmdInitiate, Data: data}, nil
}

// vouch returns Box [C',S](C->S'): the long-term key vouches for the transient one, to this
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
	if len(in.Data) < minReady {
		return nil, c.wrongSize(in, "at least 30")
	}
	ready, ok := unseal(nil, in.Data, prefixReady, &c.traffic.shared)
	if !ok {
		return nil, c.malformed(cmdReady, "its box does not open")
	}
	metadata, err := c.parsePeer(cmdReady, ready)
	if err != nil {
		return nil, err
	}
	c.traffic.received.nonce = binary.BigEndian.Uint64(in.Data)
	c.peer = &Peer{Mechanism: zap.CURVE, Metadata: metadata}
	c.long, c.local = Curve{}, nil
	c.finish(c.traffic)
	return nil, nil
}
