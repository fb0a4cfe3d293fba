package zws

import (
	"context"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// renewalInterval is the shortest time between two renewals of a login.
const renewalInterval = time.Second

// renewal is the state of a connection whose login can be renewed. Only the reader uses it
// after READY.
type renewal struct {
	options *keptOptions
	accept  func(ctx context.Context, l *Login) error // AcceptOptions.Renew; may be nil
	refused func(l *Login, cause *CloseError)         // AcceptOptions.RenewalRefused; may be nil
	last    time.Time                                 // when the client last asked
}

// refuse reports that a login was not renewed, and returns the cause.
func (r *renewal) refuse(l *Login, cause *CloseError) *CloseError {
	if r.refused != nil {
		r.refused(l, cause)
	}
	return cause
}

var errSecondLogin = protocolError("second login: only a BEARER login can be renewed, by a token")

// renew judges another token that the client has sent after READY, as a HELLO of BEARER or a
// second login of ZWSJSON1.0 and ZWSMUX1.0. The client is told if the token is accepted. A
// refusal, or another user, ends the connection with 4401. If no decision was possible
// (300), the login stays until it expires. The reader calls renew and reads nothing
// meanwhile.
func (c *Conn) renew(token []byte) error {
	if c.renewal == nil {
		return protocolError("HELLO after READY: only a BEARER login can be renewed")
	}
	o, now := c.renewal.options, time.Now()
	switch {
	case int64(len(token)) > o.maxHandshake:
		return c.renewal.refuse(c.Login(), &CloseError{Code: CodeTooLarge, Reason: "token longer than this server accepts"})
	case now.Sub(c.renewal.last) < renewalInterval:
		return c.renewal.refuse(c.Login(), &CloseError{Code: CodeTooMany, Reason: "a login can be renewed at most once per second"})
	}
	c.renewal.last = now

	old := c.Login()
	l := *old
	l.Credentials = [][]byte{append([]byte{}, token...)}
	l.Reply = zap.Decide(&c.life, o.handler, &zap.Request{
		Domain:      o.domain,
		Address:     l.Address,
		RoutingID:   l.RoutingID,
		Mechanism:   zap.BEARER,
		Credentials: l.Credentials,
	})
	refusal := &zmtp.RefusedError{Status: l.Reply.Status, Reason: l.Reply.Text, Err: l.Reply.Cause, Authenticator: l.Reply.Authenticator}
	switch {
	case l.Reply.Status == zap.Temporary:
		c.renewal.refuse(&l, &CloseError{Code: CodeTemporary, Reason: "the login cannot be renewed at present: it stays until it expires", Err: refusal})
		return nil
	case l.Reply.Status != zap.OK:
		return c.renewal.refuse(&l, &CloseError{Code: CodeExpired, Reason: "renewal refused", Err: refusal})
	case l.Reply.UserID != old.Reply.UserID:
		return c.renewal.refuse(&l, &CloseError{Code: CodeExpired, Reason: "renewal refused: the token is for another user"})
	}
	if c.renewal.accept != nil {
		if err := c.renewal.accept(&c.life, &l); err != nil {
			return c.renewal.refuse(&l, Cause(err))
		}
	}
	c.login.Store(&l)
	c.dialect.notifier.renewed(c)
	return nil
}
