package remote

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// The defaults of [ServerOptions].
const (
	DefaultMaxServers  = 1000
	DefaultMaxRequests = 100
)

// Domain is the ZAP domain of the requests to ServerOptions.Clients.
const Domain = "zap.listen"

// ServerOptions configures a [Server].
type ServerOptions struct {
	// Endpoint is the endpoint to listen on: tcp://host:port, ipc:///path or ipc://@name.
	Endpoint string
	// Replaces, if not nil, is a server that has the endpoint open. Its socket is taken over, and the
	// caller closes it: so the other settings can change while ZeroMQ servers connect.
	Replaces *Server
	// Handler decides on the requests. Required. [Asker] tells it who asks.
	Handler zap.Handler
	// EmptyDomain, if not nil, returns the domain of requests that name none: libzmq sends
	// such requests for a server that sets no ZAP_DOMAIN. Without it they are malformed.
	EmptyDomain func() string
	// Clients decides by CURVE key, in the domain [Domain], which ZeroMQ servers may
	// connect. Nil means all of them, without CURVE, which requires an ipc or loopback
	// endpoint.
	Clients zap.Handler
	// CurvePublic and CurveSecret are the server's key pair; used if Clients is not nil.
	CurvePublic, CurveSecret [32]byte
	// MaxServers is how many ZeroMQ servers may be connected at the same time; 0 means
	// [DefaultMaxServers]. Further ones are disconnected.
	MaxServers int
	// MaxRequests is how many requests of one ZeroMQ server may be pending at the same time;
	// 0 means [DefaultMaxRequests]. Further ones are not read until one is answered.
	MaxRequests int
	// Logger gets a line when a peer is refused or violates the protocol. Nil means
	// slog.Default().
	Logger *slog.Logger
	// Refused, if not nil, is called instead with every peer that is refused, with the error of its
	// handshake or [ErrTooMany]. It must not block.
	Refused func(peer net.Addr, err error)
	// Socket, if not nil, returns a socket that another process has handed over, as
	// [zmtp.ListenOptions] has it.
	Socket func(network, address string) net.Listener
}

// ErrTooMany is why a peer beyond [ServerOptions.MaxServers] is disconnected.
var ErrTooMany = errors.New("too many servers are connected")

// Server lets ZeroMQ servers ask a handler, with a ROUTER socket: REQ, DEALER and ROUTER peers,
// and through them others (27/ZAP, "Proxy Handlers"), since the reply carries the address
// envelope of its request.
//
// A malformed request is answered with 500 if it has an id. A message without a delimiter or
// an id ends the connection.
type Server struct {
	o        ServerOptions
	log      *slog.Logger
	listener *zmtp.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	peers    chan struct{} // one element for each peer
	running  sync.WaitGroup
}

// Listen starts a server, which serves until Close.
func Listen(o ServerOptions) (*Server, error) {
	local, err := isLocal(o.Endpoint)
	switch {
	case err != nil:
		return nil, fmt.Errorf("zap server: %w", err)
	case o.Handler == nil:
		return nil, errors.New("zap server: no handler")
	case o.Clients == nil && !local:
		return nil, fmt.Errorf("zap server: endpoint %s is neither ipc nor loopback: requires CURVE and the keys of permitted servers", o.Endpoint)
	case o.MaxServers < 0 || o.MaxRequests < 0:
		return nil, fmt.Errorf("zap server: %d servers and %d requests: must not be negative", o.MaxServers, o.MaxRequests)
	}
	s := &Server{o: o, log: o.Logger, peers: make(chan struct{}, cmp.Or(o.MaxServers, DefaultMaxServers))}
	if s.log == nil {
		s.log = slog.Default()
	}
	s.o.MaxRequests = cmp.Or(o.MaxRequests, DefaultMaxRequests)
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
	o := zmtp.ListenOptions{
		Options: zmtp.Options{SocketType: zmtp.ROUTER, Limits: limits},
		Refused: s.refused,
		Socket:  s.o.Socket,
	}
	if old := s.o.Replaces; old != nil {
		s.o.Replaces = nil // it would stay in memory
		return old.listener.Share(mechanism, security, o)
	}
	return zmtp.Listen(s.o.Endpoint, mechanism, security, o)
}

// refused reports a peer that is refused. peer is nil if none could be accepted.
func (s *Server) refused(peer net.Addr, err error) {
	if s.o.Refused != nil && peer != nil {
		s.o.Refused(peer, err)
		return
	}
	s.log.Warn("ZAP peer refused", "peer", peer, "error", err)
}

// Endpoint returns the endpoint with the actual port.
func (s *Server) Endpoint() string { return s.listener.Endpoint() }

// Listener returns what listens. Only the server closes it.
func (s *Server) Listener() *zmtp.Listener { return s.listener }

// Close stops listening, disconnects every peer, cancels the pending requests and waits for the
// handler to return from them.
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
			s.refused(conn.RemoteAddr(), fmt.Errorf("%w: %d", ErrTooMany, cap(s.peers)))
			conn.Close()
		}
	}
}

type askerKey struct{}

// Asker returns the ZeroMQ server that asks, for a context with which a [Server] calls its
// handler: its CURVE key in hexadecimal, its IP address, or "" for ipc without CURVE.
func Asker(ctx context.Context) string {
	name, _ := ctx.Value(askerKey{}).(string)
	return name
}

// asker identifies the peer.
func asker(conn *zmtp.Conn) string {
	if peer := conn.Peer(); peer.Mechanism == zap.CURVE && len(peer.Credentials) == 1 {
		return hex.EncodeToString(peer.Credentials[0])
	}
	if ip, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		return ip.Addr().Unmap().String()
	}
	return ""
}

// serve answers one peer's requests concurrently until it disconnects.
func (s *Server) serve(conn *zmtp.Conn) {
	ctx, cancel := context.WithCancel(context.WithValue(s.ctx, askerKey{}, asker(conn)))
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	slots := make(chan struct{}, s.o.MaxRequests)
	var running sync.WaitGroup
	defer running.Wait()
	defer conn.Close()
	defer cancel() // runs first: the replies cannot be sent any more
	for {
		m, err := conn.ReadMessage()
		if err != nil {
			return
		}
		envelope, body, err := zap.SplitEnvelope(m)
		if err == nil && (len(body) < 2 || len(body[1]) > zap.MaxRequestID) {
			err = fmt.Errorf("%w request: no id of at most %d bytes", zap.ErrMalformed, zap.MaxRequestID)
		}
		if err != nil {
			s.log.Warn("ZAP peer disconnected: not a 27/ZAP request", "peer", conn.RemoteAddr(), "error", err)
			return
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		running.Go(func() {
			defer func() { <-slots }()
			if conn.Write(slices.Concat(envelope, s.answer(ctx, body))) != nil {
				conn.Close()
			}
		})
	}
}

// answer returns the frames of the reply to one request.
func (s *Server) answer(ctx context.Context, body [][]byte) [][]byte {
	var reply *zap.Reply
	if len(body) > 2 && len(body[2]) == 0 && s.o.EmptyDomain != nil {
		body = slices.Clone(body)
		body[2] = []byte(s.o.EmptyDomain())
	}
	req, err := zap.ParseRequest(body)
	if err == nil {
		reply = zap.Decide(ctx, s.o.Handler, req)
	} else {
		reply = &zap.Reply{Status: zap.Internal, Text: err.Error()}
	}
	id := string(body[1])
	frames, err := reply.Frames(id)
	if err != nil {
		s.log.Error("decision cannot be expressed in 27/ZAP", "error", err)
		frames, _ = (&zap.Reply{Status: zap.Internal, Text: err.Error()}).Frames(id)
	}
	return frames
}
