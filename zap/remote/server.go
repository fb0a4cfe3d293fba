package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// The defaults of [ServerOptions].
const (
	DefaultMaxServers = 1000
	DefaultMaxAsked   = 100
)

// Domain is the ZAP domain in which ServerOptions.Clients decides.
const Domain = "zap.listen"

// ServerOptions describe a [Server].
type ServerOptions struct {
	// Endpoint is where to listen: tcp://host:port, ipc:///path or ipc://@name.
	Endpoint string
	// Handler decides on the requests. Required.
	Handler zap.Handler
	// Clients decides by CURVE key, in the domain [Domain], which ZeroMQ servers may ask.
	// Nil means that all may, without CURVE, which an endpoint has to be ipc or loopback
	// for.
	Clients zap.Handler
	// CurvePublic and CurveSecret are our key pair; used if Clients is not nil.
	CurvePublic, CurveSecret [32]byte
	// MaxServers is how many servers may be connected at the same time; 0 means
	// [DefaultMaxServers]. One more is disconnected.
	MaxServers int
	// MaxAsked is how many requests of one server may be with Handler at the same time; 0
	// means [DefaultMaxAsked]. Further ones are not read until one is answered.
	MaxAsked int
	// Logger gets a line when a peer is not let in or breaks the protocol. Nil means
	// slog.Default().
	Logger *slog.Logger
}

// Server lets ZeroMQ servers ask a handler, in the way of a ROUTER socket: REQ, DEALER and
// ROUTER peers, and whatever stands behind them (27/ZAP, "Proxy Handlers"): the address
// envelope of a request goes back with its reply.
//
// A request that is malformed is answered with 500 if it has an id to answer to. A peer that
// sends what has no delimiter or no id is disconnected.
type Server struct {
	o        ServerOptions
	log      *slog.Logger
	listener *zmtp.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	peers    chan struct{} // one for each peer
	running  sync.WaitGroup
}

// Listen listens and serves until Close.
func Listen(o ServerOptions) (*Server, error) {
	local, err := stays(o.Endpoint)
	switch {
	case err != nil:
		return nil, fmt.Errorf("zap server: %w", err)
	case o.Handler == nil:
		return nil, errors.New("zap server: no handler to ask")
	case o.Clients == nil && !local:
		return nil, fmt.Errorf("zap server: endpoint %s is neither ipc nor loopback: want CURVE and the keys of those who may ask", o.Endpoint)
	case o.MaxServers < 0 || o.MaxAsked < 0:
		return nil, fmt.Errorf("zap server: at most %d servers and %d requests: neither may be negative", o.MaxServers, o.MaxAsked)
	}
	s := &Server{o: o, log: o.Logger, peers: make(chan struct{}, cmp.Or(o.MaxServers, DefaultMaxServers))}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.o.MaxAsked = cmp.Or(o.MaxAsked, DefaultMaxAsked)
	if s.listener, err = s.listen(); err != nil {
		return nil, fmt.Errorf("zap server: %w", err)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.running.Go(s.accept)
	return s, nil
}

func (s *Server) listen() (*zmtp.Listener, error) {
	mechanism, security := zap.CURVE, zmtp.ServerSecurity{
		Handler:     s.o.Clients,
		Domain:      Domain,
		CurvePublic: s.o.CurvePublic,
		CurveSecret: s.o.CurveSecret,
	}
	if s.o.Clients == nil {
		mechanism = zap.NULL
		security.Handler = zap.HandlerFunc(func(context.Context, *zap.Request) (*zap.Reply, error) {
			return &zap.Reply{Status: zap.OK}, nil
		})
	}
	return zmtp.Listen(s.o.Endpoint, mechanism, security, zmtp.ListenOptions{
		Options: zmtp.Options{SocketType: zmtp.ROUTER, Limits: limits},
		Refused: func(peer net.Addr, err error) {
			s.log.Warn("a server may not ask", "peer", peer, "error", err)
		},
	})
}

// Endpoint is where the server listens, with the port that was chosen.
func (s *Server) Endpoint() string { return s.listener.Endpoint() }

// Close stops listening, disconnects every peer and waits for the handler to give up the
// requests that are under way.
func (s *Server) Close() error {
	s.cancel()
	err := s.listener.Close()
	s.running.Wait()
	return err
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		select {
		case s.peers <- struct{}{}:
			s.running.Go(func() {
				defer func() { <-s.peers }()
				s.serve(conn)
			})
		default:
			s.log.Warn("too many servers want to ask", "peer", conn.RemoteAddr(), "limit", cap(s.peers))
			conn.Close()
		}
	}
}

// serve answers one peer's requests, many at a time, until it goes.
func (s *Server) serve(conn *zmtp.Conn) {
	ctx, cancel := context.WithCancel(s.ctx)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	slots := make(chan struct{}, s.o.MaxAsked)
	var asked sync.WaitGroup
	defer asked.Wait()
	defer conn.Close()
	defer cancel() // first: nobody waits for the answers any more
	for {
		m, err := conn.ReadMessage()
		if err != nil {
			return
		}
		envelope, body, err := zap.SplitEnvelope(m)
		if err == nil && (len(body) < 2 || len(body[1]) > zap.MaxRequestID) {
			err = fmt.Errorf("%w request: no id of at most %d octets", zap.ErrMalformed, zap.MaxRequestID)
		}
		if err != nil {
			s.log.Warn("a server asks what is not 27/ZAP", "peer", conn.RemoteAddr(), "error", err)
			return
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		asked.Go(func() {
			defer func() { <-slots }()
			if conn.Write(slices.Concat(envelope, s.answer(ctx, body))) != nil {
				conn.Close()
			}
		})
	}
}

// answer makes the frames of the reply to one request.
func (s *Server) answer(ctx context.Context, body [][]byte) [][]byte {
	var reply *zap.Reply
	req, err := zap.ParseRequest(body)
	if err == nil {
		reply = zap.Decide(ctx, s.o.Handler, req)
	} else {
		reply = &zap.Reply{Status: zap.Internal, Text: err.Error()}
	}
	id := string(body[1])
	frames, err := reply.Frames(id)
	if err != nil {
		s.log.Error("a decision that 27/ZAP cannot tell", "error", err)
		frames, _ = (&zap.Reply{Status: zap.Internal, Text: err.Error()}).Frames(id)
	}
	return frames
}
