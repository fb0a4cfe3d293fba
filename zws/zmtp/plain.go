package zmtp

import (
	"bytes"
	"context"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
)

// The PLAIN mechanism (24/ZMTP-PLAIN):
//
//	plain    = C:hello ( S:welcome | S:error ) C:initiate ( S:ready | S:error )
//	hello    = command-size %d5 "HELLO" username password
//	username = OCTET *VCHAR
//	password = OCTET *VCHAR
//	welcome  = command-size %d7 "WELCOME"
//	initiate = command-size %d8 "INITIATE" metadata
//	ready    = command-size %d5 "READY" metadata

// MaxPlain is the longest user name and password in bytes: 24/ZMTP-PLAIN sends their size in
// one byte.
const MaxPlain = 255

// Name returns PLAIN.
func (Plain) Name() zap.Mechanism { return zap.PLAIN }

// NewClient returns the client side of PLAIN. It fails on a user name or a password longer
// than [MaxPlain], and on metadata that cannot be sent.
func (p Plain) NewClient(local zap.Metadata) (Mechanism, error) {
	if len(p.User) > MaxPlain {
		return nil, fmt.Errorf("zmtp: PLAIN user name of %d bytes, at most %d are allowed", len(p.User), MaxPlain)
	}
	if len(p.Password) > MaxPlain {
		return nil, fmt.Errorf("zmtp: PLAIN password of %d bytes, at most %d are allowed", len(p.Password), MaxPlain)
	}
	return newPlainClient(zap.PLAIN, appendPlain(nil, p.User, p.Password), local)
}

// plainClient is the client side of PLAIN and of BEARER, which differ in the data of HELLO.
type plainClient struct {
	handshake
	hello []byte
	local zap.Metadata
}

func newPlainClient(m zap.Mechanism, hello []byte, local zap.Metadata) (Mechanism, error) {
	if err := checkLocal(local); err != nil {
		return nil, err
	}
	c := &plainClient{handshake: handshake{mechanism: m, refusable: true}, hello: hello, local: local}
	c.steps = []step{
		{start, c.sendHello},           // HELLO →
		{cmdWelcome, c.receiveWelcome}, // ← WELCOME, INITIATE →
		{cmdReady, c.receiveReady},     // ← READY
	}
	return c, nil
}

func (c *plainClient) sendHello(context.Context, *Command) (*Command, error) {
	hello := c.hello
	c.hello = nil // a secret that is not needed any more
	return &Command{Name: cmdHello, Data: hello}, nil
}

func (c *plainClient) receiveWelcome(_ context.Context, in *Command) (*Command, error) {
	if len(in.Data) != 0 {
		return nil, c.malformed(cmdWelcome, "it has data")
	}
	return &Command{Name: cmdInitiate, Data: c.local.Append(nil)}, nil
}

func (c *plainClient) receiveReady(_ context.Context, in *Command) (*Command, error) {
	metadata, err := c.parsePeer(cmdReady, in.Data)
	if err != nil {
		return nil, err
	}
	c.peer = &Peer{Mechanism: c.mechanism, Metadata: metadata}
	c.finish(noCipher{})
	return nil, nil
}

// plainServer is the server side of PLAIN and of BEARER. It sends WELCOME after the ZAP
// handler's 200 and READY after Admit.
type plainServer struct {
	server
	// parseHello returns the credentials in the data of HELLO as copies, or nil if it is
	// malformed.
	parseHello func(data []byte) [][]byte
}

func newPlainServer(s ServerSecurity) *plainServer {
	p := plainServerOf(zap.PLAIN, s, parsePlain)
	if s.LibzmqError {
		p.errorName = cmdLibzmqError
	}
	return p
}

func plainServerOf(m zap.Mechanism, s ServerSecurity, parseHello func([]byte) [][]byte) *plainServer {
	p := &plainServer{server: newServer(m, s), parseHello: parseHello}
	p.steps = []step{
		{cmdHello, p.receiveHello},       // ← HELLO, WELCOME →
		{cmdInitiate, p.receiveInitiate}, // ← INITIATE, READY →
	}
	return p
}

func (s *plainServer) receiveHello(ctx context.Context, in *Command) (*Command, error) {
	credentials := s.parseHello(in.Data)
	if credentials == nil {
		return nil, s.malformed(cmdHello, "want a user name and a password, each after its size, and nothing more")
	}
	if out, err := s.authenticate(ctx, nil, credentials...); err != nil {
		return out, err
	}
	return &Command{Name: cmdWelcome}, nil
}

func (s *plainServer) receiveInitiate(ctx context.Context, in *Command) (*Command, error) {
	metadata, err := s.parsePeer(cmdInitiate, in.Data)
	if err != nil {
		return nil, err
	}
	s.peer.Metadata = metadata
	if out, err := s.admit(ctx); err != nil {
		return out, err
	}
	return s.ready(), nil
}

// appendPlain appends the data of a PLAIN HELLO. Both strings have at most MaxPlain bytes.
func appendPlain(dst []byte, user, password string) []byte {
	dst = append(dst, byte(len(user)))
	dst = append(dst, user...)
	dst = append(dst, byte(len(password)))
	return append(dst, password...)
}

// parsePlain returns the user name and the password in the data of a PLAIN HELLO as copies,
// or nil if it is malformed.
func parsePlain(data []byte) [][]byte {
	user, rest, ok := cutSized(data)
	if !ok {
		return nil
	}
	password, rest, ok := cutSized(rest)
	if !ok || len(rest) != 0 {
		return nil
	}
	return [][]byte{bytes.Clone(user), bytes.Clone(password)}
}

// cutSized splits off a string that follows its size of one byte.
func cutSized(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return nil, nil, false
	}
	n := 1 + int(b[0])
	return b[1:n], b[n:], true
}
