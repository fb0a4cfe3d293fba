package zmtp

import (
	"context"

	"github.com/zwsbridge/zwsbridge/zap"
)

// The NULL mechanism (23/ZMTP, "The NULL Security Mechanism"):
//
//	null  = ready *message | error
//	ready = command-size %d5 "READY" metadata

// Name returns NULL.
func (Null) Name() zap.Mechanism { return zap.NULL }

// NewClient returns the side that sends its READY at once. It fails only on metadata that
// cannot be sent.
func (Null) NewClient(local zap.Metadata) (Mechanism, error) {
	if err := checkLocal(local); err != nil {
		return nil, err
	}
	c := &nullClient{handshake: handshake{mechanism: zap.NULL, refusable: true}, local: local}
	c.steps = []step{
		{start, c.sendReady},       // READY →
		{cmdReady, c.receiveReady}, // ← READY
	}
	return c, nil
}

type nullClient struct {
	handshake
	local zap.Metadata
}

func (c *nullClient) sendReady(context.Context, *Command) (*Command, error) {
	return &Command{Name: cmdReady, Data: c.local.Append(nil)}, nil
}

func (c *nullClient) receiveReady(_ context.Context, in *Command) (*Command, error) {
	metadata, err := c.parsePeer(cmdReady, in.Data)
	if err != nil {
		return nil, err
	}
	c.peer = &Peer{Mechanism: zap.NULL, Metadata: metadata}
	c.finish(noCipher{})
	return nil, nil
}

// nullServer waits for the peer's READY before it answers, so that it can authenticate the
// peer and answer READY or ERROR. 37/ZMTP specifies this; a peer of 23/ZMTP sends its READY
// without waiting.
type nullServer struct{ server }

func newNullServer(s ServerSecurity) *nullServer {
	n := &nullServer{newServer(zap.NULL, s)}
	// NULL is symmetric: the peer may have a ZAP handler of its own and refuse this side.
	n.refusable = true
	n.steps = []step{
		{cmdReady, n.receiveReady}, // ← READY, READY →
	}
	return n
}

func (s *nullServer) receiveReady(ctx context.Context, in *Command) (*Command, error) {
	metadata, err := s.parsePeer(cmdReady, in.Data)
	if err != nil {
		return nil, err
	}
	if out, err := s.authenticate(ctx, metadata); err != nil {
		return out, err
	}
	if out, err := s.admit(ctx); err != nil {
		return out, err
	}
	return s.ready(), nil
}
