package zmtp

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/zwsbridge/zwsbridge/zap"
)

func newCurveServer(s ServerSecurity) (Mechanism, error) {
	if err := checkKeyPair(s.CurvePublic, s.CurveSecret); err != nil {
		return nil, err
	}
	c := &curveServer{server: newServer(zap.CURVE, s), random: randomOr(s.Rand)}
	c.steps = []step{
		{cmdHello, c.receiveHello},       // ← HELLO, WELCOME →
		{cmdInitiate, c.receiveInitiate}, // ← INITIATE, READY →
	}
	return c, nil
}

// curveServer asks the ZAP handler at INITIATE, which carries the client's long-term key.
//
// Between WELCOME and INITIATE it keeps only a cookie key and a nonce. The transient keys are
// in the cookie, which the client sends back: "the cookie is the only memory of the server's
// secret transient key s'".
type curveServer struct {
	server
	random    io.Reader
	cookieKey key
	nonce     uint64 // of the client's last command
}

// receiveHello: "The HELLO Command".
func (s *curveServer) receiveHello(_ context.Context, in *Command) (*Command, error) {
	if len(in.Data) != helloSize {
		return nil, s.wrongSize(in, "200")
	}
	version, rest := cut(in.Data, 2)
	padding, rest := cut(rest, helloPadding)
	head, signature := cut(rest, keySize)
	if version[0] != 1 || version[1] != 0 {
		return nil, s.malformed(cmdHello, fmt.Sprintf("CurveZMQ version %d.%d, want 1.0", version[0], version[1]))
	}
	if !zeros(padding) {
		return nil, s.malformed(cmdHello, "its padding is not zero")
	}
	client := key(head) // C'
	shared, err := agree(&client, &s.security.CurveSecret)
	if err != nil {
		return nil, s.malformed(cmdHello, err.Error())
	}
	plain, ok := unseal(nil, signature, prefixHello, &shared)
	if !ok {
		return nil, s.malformed(cmdHello, "its box does not open: the client uses another server key")
	}
	if !zeros(plain) {
		return nil, s.malformed(cmdHello, "the content of its box is not zero")
	}
	s.nonce = binary.BigEndian.Uint64(signature)
	return s.sendWelcome(&client, &shared)
}

// sendWelcome: "The WELCOME Command". The key shared is that of the boxes between S and C'.
func (s *curveServer) sendWelcome(client, shared *key) (*Command, error) {
	public, secret, err := newKeyPair(s.random) // S' and s'
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(s.random, s.cookieKey[:]); err != nil {
		return nil, fmt.Errorf("zmtp: cookie key: %w", err)
	}
	cookieNonce, err := newLongNonce(s.random)
	if err != nil {
		return nil, err
	}
	welcomeNonce, err := newLongNonce(s.random)
	if err != nil {
		return nil, err
	}
	cookie := seal(nil, slices.Concat(client[:], secret[:]), prefixCookie, cookieNonce, &s.cookieKey)
	welcome := seal(nil, slices.Concat(public[:], cookie), prefixWelcome, welcomeNonce, shared)
	clear(secret[:])
	return &Command{Name: cmdWelcome, Data: welcome}, nil
}

// receiveInitiate: "The INITIATE Command".
func (s *curveServer) receiveInitiate(ctx context.Context, in *Command) (*Command, error) {
	if len(in.Data) < minInitiate {
		return nil, s.wrongSize(in, "at least 257")
	}
	cookie, sealed := cut(in.Data, cookieSize)
	client, secret, err := s.openCookie(cookie)
	if err != nil {
		return nil, err
	}
	nonce := binary.BigEndian.Uint64(sealed)
	if nonce <= s.nonce {
		return nil, s.malformed(cmdInitiate, fmt.Sprintf("nonce %d is not above %d", nonce, s.nonce))
	}
	shared, err := agree(&client, &secret)
	if err != nil {
		return nil, s.malformed(cmdInitiate, err.Error())
	}
	initiate, ok := unseal(nil, sealed, prefixInitiate, &shared)
	if !ok {
		return nil, s.malformed(cmdInitiate, "its box does not open")
	}
	long, rest := cut(initiate, keySize) // C
	vouch, rest := cut(rest, vouchSize)
	if err := s.checkVouch(vouch, key(long), &client, &secret); err != nil {
		return nil, err
	}
	metadata, err := s.parsePeer(cmdInitiate, rest)
	if err != nil {
		return nil, err
	}
	if out, err := s.authenticate(ctx, metadata, bytes.Clone(long)); err != nil {
		return out, err
	}
	if out, err := s.admit(ctx); err != nil {
		return out, err
	}
	return s.sendReady(shared, nonce)
}

// openCookie returns C' and s'. It also discards the cookie key: "MUST discard the cookie key
// … as soon as the client sends a valid INITIATE command".
func (s *curveServer) openCookie(cookie []byte) (client, secret key, err error) {
	keys, ok := unseal(nil, cookie, prefixCookie, &s.cookieKey)
	clear(s.cookieKey[:])
	if !ok {
		return key{}, key{}, s.malformed(cmdInitiate, "its cookie does not open")
	}
	return key(keys[:keySize]), key(keys[keySize:]), nil
}

// checkVouch opens Box [C',S](C->S'), which proves that the client has the long-term secret
// key and chose this server.
func (s *curveServer) checkVouch(vouch []byte, long key, client, secret *key) error {
	shared, err := agree(&long, secret)
	if err != nil {
		return s.malformed(cmdInitiate, err.Error())
	}
	vouched, ok := unseal(nil, vouch, prefixVouch, &shared)
	if !ok {
		return s.malformed(cmdInitiate, "its vouch does not open")
	}
	if !bytes.Equal(vouched, slices.Concat(client[:], s.security.CurvePublic[:])) {
		return s.malformed(cmdInitiate, "its vouch is for other keys")
	}
	return nil
}

// sendReady: "The READY Command". It uses the server's first short nonce.
func (s *curveServer) sendReady(shared key, received uint64) (*Command, error) {
	local := s.security.Local
	s.finish(&curveTraffic{
		shared:   shared,
		sent:     curveStream{prefix: prefixMessageServer, nonce: nonceReady},
		received: curveStream{prefix: prefixMessageClient, nonce: received},
	})
	return s.Ready(local), nil
}

// nonceReady is the short nonce of the server's READY.
const nonceReady = 1

// Ready implements ServerMechanism.
func (s *curveServer) Ready(local zap.Metadata) *Command {
	shared := &s.cipher.(*curveTraffic).shared
	return &Command{Name: cmdReady, Data: seal(nil, local.Append(nil), prefixReady, newShortNonce(nonceReady), shared)}
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
