package bridge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/zwsbridge/zwsbridge/bridge/config"
	"github.com/zwsbridge/zwsbridge/bridge/internal/clientaddr"
	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// session is a login and its socket: who it is, until when, and the channel. A client of
// ZWSMUX1.0 has a session without a channel for its connection, which carries one more
// session for each socket that it opens.
type session struct {
	bridge *Bridge
	route  *route
	number uint64
	from   clientaddr.Client
	since  time.Time
	domain string // that the login was judged for

	carrier *session // whose connection this is on; nil for one that has its own

	mu      sync.Mutex
	carried map[*session]bool // on this connection
	renewed *zws.Login        // the login of this connection since its last renewal
	ws      *zws.Channel      // nil until the client has been told READY
	cause   error             // why it ends, if that is known before ws is
	ending  time.Time         // when the login ends, if the client was to be told before ws was there
	channel *channel
	parting error  // why it ends once the client has what is queued
	claimed []byte // the routing id that this session holds on its route
	timers  []*time.Timer
	expires atomic.Int64 // when the login ends, in Unix seconds; 0 = never

	// deciding is held while the rights are worked out anew, which may take a question to
	// somebody else: those of an older login must not come last.
	deciding sync.Mutex
}

func newSession(b *Bridge, r *route, number uint64, from clientaddr.Client, domain string) *session {
	return &session{bridge: b, route: r, number: number, from: from, since: time.Now(), domain: domain}
}

// login logs the client in. READY waits for open, so that a login that a backend refuses is
// answered by an ERROR.
func (s *session) login(w http.ResponseWriter, r *http.Request, o zws.Options) (*zws.Conn, error) {
	login, err := zws.Accept(s.bridge.ctx, w, r, o)
	if err != nil {
		return nil, err
	}
	if err := s.open(login.Context(), login.Login()); err != nil {
		return nil, login.Reject(err)
	}
	return login.Accept(zws.AcceptOptions{Renew: s.renew, Minor: s.minor()})
}

// open opens the channel of a client that the ZAP handler has let in.
func (s *session) open(ctx context.Context, l *zws.Login) error {
	if err := s.schedule(l.Reply); err != nil || l.Multiplexed {
		return err
	}
	return s.connect(ctx, l)
}

// connect opens the channel.
func (s *session) connect(ctx context.Context, l *zws.Login) error {
	if err := s.claim(l); err != nil {
		return err
	}
	c, err := s.route.open(ctx, s, l)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channel = c
	return nil
}

// claim takes the client's routing id for this session where the route passes it on: two
// backends' peers with one id would take each other's messages.
func (s *session) claim(l *zws.Login) error {
	if s.route.config.RoutingID != config.RoutingIDClient || len(l.RoutingID) == 0 {
		return nil
	}
	if l.RoutingID[0] == 0 { // reserved: a ROUTER makes such ids for peers without one
		return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused, Reason: "a routing id may not begin with a zero octet here"}
	}
	if !s.route.ids.take(string(l.RoutingID)) {
		return &zws.CloseError{Code: zws.CodeForbidden, Status: zap.Refused, Reason: "this routing id is in use"}
	}
	s.claimed = l.RoutingID
	return nil
}

// start makes ws the session's, once the client has been told READY.
func (s *session) start(ws *zws.Channel) {
	var source zws.Source
	if s.channel != nil {
		source = s.source()
	}
	s.mu.Lock()
	s.ws = ws
	cause, ending := s.cause, s.ending
	s.mu.Unlock()
	if source != nil {
		ws.Attach(source)
	}
	if !ending.IsZero() {
		ws.Conn().Expiring(time.Until(ending))
	}
	if cause != nil {
		ws.Close(cause)
	}
}

// connection is the client's side; nil until the client has been told READY.
func (s *session) connection() *zws.Channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ws
}

// end closes the session for a reason that becomes a close code in zws.Cause, however far
// it has got. The first cause counts. It does not block.
func (s *session) end(cause error) {
	cause = closeCause(cause)
	s.mu.Lock()
	if s.cause == nil {
		s.cause = cause
	}
	ws := s.ws
	s.mu.Unlock()
	if ws != nil {
		ws.Close(cause)
	}
}

// queueOwner is a session as the owner of its queue.
type queueOwner struct{ *session }

// Ended implements queue.Owner.
func (o queueOwner) Ended() bool { return o.expired() }

// Wake implements queue.Owner.
func (o queueOwner) Wake() { o.wake() }

// Lost implements queue.Owner.
func (o queueOwner) Lost(n uint64) { o.lost(n) }

// Overflow implements queue.Owner.
func (o queueOwner) Overflow() { o.end(tooSlow) }

// wake starts the writer, if there is one yet: Attach does it for what was queued before.
func (s *session) wake() {
	if ws := s.connection(); ws != nil {
		ws.Wake()
	}
}

// lost counts messages that the queue has dropped, and tells the client if it listens.
func (s *session) lost(n uint64) {
	s.route.metrics.SlowClient(n)
	if ws := s.connection(); ws != nil {
		ws.Lost(n)
	}
}

// run forwards what the client sends until the session is over, takes it down, and calls
// over. It returns at once: an idle client has no goroutine, unless it has many channels.
func (s *session) run(over func()) {
	conn := s.ws.Conn()
	ctx := conn.Context()
	takeDown := func() {
		defer over()
		defer s.close()
		conn.Wait()
		s.ended(ctx)
	}
	if s.channel == nil {
		go func() {
			s.serveChannels(ctx, conn)
			takeDown()
		}()
		return
	}
	s.ws.Serve(func(m zmtp.Message) error { return s.forward(ctx, m) }, takeDown)
}

// forward gives one message of the client to the channel. An error ends the session.
func (s *session) forward(ctx context.Context, m zmtp.Message) error {
	err := error(errExpired)
	if !s.expired() {
		err = s.channel.forward(ctx, m, s.ws.Buffered())
	}
	if err != nil {
		s.end(err)
	}
	return err
}

// ended counts and logs the end of a session that was started.
func (s *session) ended(ctx context.Context) {
	cause := s.ws.Cause()
	var dropped uint64
	if s.channel != nil {
		dropped = s.channel.queue.Dropped()
	}
	s.route.metrics.Ended(s.ws.Login().Dialect, cause)
	s.bridge.log.LogAttrs(ctx, slog.LevelInfo, "session ended", append(s.attributes(),
		slog.Int("code", int(cause.Code)),
		slog.String("reason", cause.Reason),
		slog.Duration("lasted", time.Since(s.since).Round(time.Millisecond)),
		slog.Uint64("dropped", dropped))...)
}

// close gives back what the session holds.
func (s *session) close() {
	s.mu.Lock()
	for _, t := range s.timers {
		t.Stop()
	}
	s.timers = nil
	c := s.channel
	s.mu.Unlock()
	if c != nil {
		c.close()
	}
	if s.claimed != nil {
		s.route.ids.give(string(s.claimed))
	}
}

// attributes tell the session apart in the log.
func (s *session) attributes() []slog.Attr {
	attrs := []slog.Attr{
		slog.Uint64("session", s.number),
		slog.String("route", s.route.config.Path),
		slog.String("address", s.from.String()),
	}
	if s.ws != nil {
		l := s.ws.Login()
		attrs = append(attrs, slog.String("user", l.User()), slog.String("dialect", l.Dialect))
	}
	return attrs
}

// renew puts a renewed login of the same user in place of the old one.
func (s *session) renew(ctx context.Context, l *zws.Login) error {
	if err := s.schedule(l.Reply); err != nil {
		return err
	}
	s.mu.Lock()
	s.renewed = l
	s.mu.Unlock()
	if s.bridge.state.Load().auth.Revoked(l.Reply) { // by a change while it was judged
		return errRevoked
	}
	if s.channel == nil {
		s.renewCarried(ctx, l)
		return nil
	}
	return closeCause(s.reconsider(ctx, l))
}

// newest is the login whose rights count: that of the last renewal of the connection, or l
// if there was none.
func (s *session) newest(l *zws.Login) *zws.Login {
	if s.carrier != nil {
		s = s.carrier
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.renewed != nil {
		return s.renewed
	}
	return l
}

// reconsider works the rights of the newest login out anew, for a renewed token or changed
// rules.
func (s *session) reconsider(ctx context.Context, l *zws.Login) error {
	s.deciding.Lock()
	defer s.deciding.Unlock()
	l = s.newest(l)
	p, err := s.route.rules.Load().privileges(ctx, l)
	if err != nil {
		return err
	}
	dropped, err := s.channel.reconsider(ctx, p)
	if dropped > 0 {
		s.bridge.log.LogAttrs(ctx, slog.LevelInfo, "subscriptions no longer allowed",
			append(s.attributes(), slog.Int("number", dropped))...)
	}
	return err
}

// tooSlow is the cause of a session whose queue is full on a route that disconnects then,
// or that leaves the notices of its dropped subscriptions unread.
var tooSlow = &zws.CloseError{Code: zws.CodeTooSlow, Reason: "this client reads too slowly", Err: errors.New("high-water mark reached")}
