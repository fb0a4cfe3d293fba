package zmtp

import (
	"context"

	"github.com/zwsbridge/zwsbridge/zap"
)

// The NULL mechanism (23/ZMTP, "The NULL Security Mechanism"):
//
//	null  = ready *message | error
//	ready = command-size %d5 "READY" metadata

// Name is NULL.
func (Null) Name() zap.Mechanism { return zap.NULL }

// NewClient makes the side that sends its READY at once. It fails only on metadata that
// cannot be written.
func (Null) NewClient(local zap.Metadata) (Mechanism, error) {
	if err := checkLocal(local); err != nil {
		return nil, err
	}
	c := &nullClient{handshake: handshake{mechanism: zap.NULL}, local: local}
	c.open = c.sendReady
	return c, nil
}

type nullClient struct {
	handshake
	local zap.Metadata
}

func (c *nullClient) sendReady() (*Command, error) {
	c.step = c.receiveReady
	return &Command{Name: cmdReady, Data: c.local.Append(nil)}, nil
}

func (c *nullClient) receiveReady(_ context.Context, in *Command) (*Command, error) {
	if err := c.expectOrError(in, cmdReady); err != nil {
		return nil, err
	}
	metadata, err := c.parsePeer(cmdReady, in.Data)
	if err != nil {
		return nil, err
	}
	c.peer = &Peer{Mechanism: zap.NULL, Metadata: metadata}
	c.finish(cleartext{})
	return nil, nil
}

// nullServer waits for the peer's READY before it answers, so that its own READY, or the
// ERROR in its place, can follow from who the peer is. 37/ZMTP has it so; a peer by
// 23/ZMTP has sent its READY already.
type nullServer struct{ server }

func newNullServer(s ServerSecurity) *nullServer {
	n := &nullServer{newServer(zap.NULL, s)}
	n.step = n.receiveReady
	return n
}

func (s *nullServer) receiveReady(ctx context.Context, in *Command) (*Command, error) {
	// NULL is symmetric: the peer may have a ZAP handler of its own and refuse us.
	if err := s.expectOrError(in, cmdReady); err != nil {
		return nil, err
	}
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
