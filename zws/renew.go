package zws

import (
	"context"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// renewalInterval is how often a client may renew its login.
const renewalInterval = time.Second

// renewal is what a session keeps whose login can be renewed. The reader's own.
type renewal struct {
	options *Options
	renew   func(ctx context.Context, l *Login) error // may be nil
	last    time.Time                                 // when the client last asked
}

// renew judges another token that a client sends on a live session, as a HELLO of BEARER
// or a second login of ZWSJSON1.0 and ZWSMUX1.0. The same user is told so; a refusal or
// another user ends the session with 4401; if no decision could be made (300) the login
// stays what it was until it expires. It is called by the reader, which reads nothing
// meanwhile.
func (s *Conn) renew(token []byte) error {
	if s.renewal == nil {
		return &CloseError{Code: CodeProtocol, Reason: "HELLO after READY: only a BEARER login can be renewed"}
	}
	o, now := s.renewal.options, time.Now()
	switch {
	case int64(len(token)) > o.MaxHandshake:
		return &CloseError{Code: CodeTooLarge, Reason: "token longer than this server takes"}
	case now.Sub(s.renewal.last) < renewalInterval:
		return &CloseError{Code: CodeTooMany, Reason: "a login can be renewed once a second at most"}
	}
	s.renewal.last = now

	old := s.Login()
	l := *old
	l.Credentials = [][]byte{append([]byte{}, token...)}
	l.Reply = zap.Decide(s.ctx, o.Handler, &zap.Request{
		Domain:      o.Domain,
		Address:     l.Address,
		RoutingID:   l.RoutingID,
		Mechanism:   zap.BEARER,
		Credentials: l.Credentials,
	})
	switch {
	case l.Reply.Status == zap.Temporary:
		return nil
	case l.Reply.Status != zap.OK:
		err := &zmtp.RefusedError{Status: l.Reply.Status, Reason: l.Reply.Text, Err: l.Reply.Cause}
		return &CloseError{Code: CodeExpired, Reason: "renewal refused", Err: err}
	case l.Reply.UserID != old.Reply.UserID:
		return &CloseError{Code: CodeExpired, Reason: "renewal refused: the token is another user's"}
	}
	if s.renewal.renew != nil {
		if err := s.renewal.renew(s.ctx, &l); err != nil {
			return err
		}
	}
	s.login.Store(&l)
	s.dialect.tells.renewed(s)
	return nil
}
