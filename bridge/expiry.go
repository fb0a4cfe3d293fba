package bridge

import (
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
	"github.com/zwsbridge/zwsbridge/zws"
)

// expiryWarning is how long before the end of a login a client is told of it.
const expiryWarning = 30 * time.Second

// schedule has the session end when its login does, and the client warned before.
func (s *session) schedule(reply *zap.Reply) error {
	end, limited, err := expiry(reply)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.timers {
		t.Stop()
	}
	s.timers = nil
	if !limited {
		s.expires.Store(0)
		return nil
	}
	s.expires.Store(end.Unix())
	left := time.Until(end)
	if left <= 0 {
		return errExpired
	}
	s.timers = append(s.timers,
		time.AfterFunc(left, func() { s.end(errExpired) }),
		time.AfterFunc(max(left-expiryWarning, 0), func() { s.warn(end) }))
	return nil
}

var errExpired = &zws.CloseError{Code: zws.CodeExpired, Reason: "your login has expired: log in again"}

// warn tells the client when its login ends.
func (s *session) warn(end time.Time) {
	s.mu.Lock()
	ws := s.ws
	if ws == nil {
		s.ending = end // start does it
	}
	s.mu.Unlock()
	if ws != nil {
		ws.Conn().Expiring(time.Until(end))
	}
}

// expiry reads when a login ends from the reply's metadata.
func expiry(reply *zap.Reply) (end time.Time, limited bool, err error) {
	if end, limited, err = reply.Metadata.Expires(); err != nil {
		err = &zws.CloseError{Code: zws.CodeTemporary,
			Reason: "the login cannot be checked at present, try again later", Err: err}
	}
	return end, limited, err
}

// expired tells whether the login has ended. The timer that ends the session may be late;
// what is sent and delivered is not.
func (s *session) expired() bool {
	login := s
	if s.carrier != nil {
		login = s.carrier
	}
	end := login.expires.Load()
	return end != 0 && time.Now().Unix() >= end
}

// timely is the queue of a session as the source of its writer: nothing is written after
// the login has ended, and nothing that was queued after it is (queue.Owner).
type timely struct{ *session }

// Next implements zws.Source.
func (t timely) Next(b *zws.Batch) {
	if t.expired() {
		t.end(errExpired)
		return
	}
	t.channel.queue.Next(b)
}
