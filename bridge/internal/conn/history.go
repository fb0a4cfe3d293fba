package conn

import (
	"context"

	"github.com/zwsbridge/zwsbridge/bridge/internal/queue"
	"github.com/zwsbridge/zwsbridge/zws"
	"github.com/zwsbridge/zwsbridge/zws/zmtp"
)

// request handles what a client that knows of histories asks for beside messages
// (zws.AcceptOptions.Request). An error has ended the stream.
func (s *stream) request(ctx context.Context, r *zws.HistoryRequest) error {
	err := s.sendHeld(ctx) // requests and messages keep their order
	if err == nil {
		switch r.Op {
		case zws.HistoryResume:
			if err = s.resume(ctx, r); err == nil {
				// Most clients have missed little, and another goroutine would cost as much as
				// all the rest.
				s.Announce()
				s.Write()
			}
		case zws.HistoryLast:
			err = s.subscribeLast(ctx, r.Topics[0])
		case zws.HistoryAck:
			s.acknowledge(r.At)
		}
	}
	if err != nil {
		err = closeCause(err)
		s.end(err)
	}
	return err
}

// resume subscribes to topics and gives the client what the route has kept of them since its
// position. Topics that its rights refuse are reported as dropped, since the client may have had
// them before.
func (s *stream) resume(ctx context.Context, r *zws.HistoryRequest) error {
	s.deciding.Lock()
	defer s.deciding.Unlock()
	var prefixes, refused [][]byte
	filtered := false
	for _, topic := range r.Topics {
		if known, err := s.known(topic); err != nil {
			return err
		} else if known { // named twice
			continue
		}
		_, c, denied, err := s.add(ctx, topic)
		switch {
		case denied:
			s.remember(zmtp.Subscription{Topic: topic, Cancel: true})
			refused = append(refused, topic)
			continue
		case err != nil:
			return err
		}
		prefixes, filtered = append(prefixes, c.subscribe...), c.filtered
	}
	for _, topic := range refused {
		if err := s.unsubscribed(topic, s.route.Rules().MaxSubscriptions); err != nil {
			return err
		}
	}
	if s.history != nil {
		if err := s.history.Resume(r.At, true, filtered, prefixes...); err != nil {
			return err
		}
	} else {
		if err := s.socket.Subscribe(ctx, filtered, prefixes...); err != nil {
			return err
		}
		if err := s.queue.Insert(nothingKept{}); err != nil {
			return errTooSlow
		}
	}
	return nil
}

// nothingKept tells a client that resumes that its route has no history.
type nothingKept struct{}

// Next implements queue.Puller.
func (nothingKept) Next(b queue.Batch) (done bool) {
	if b.Resumed(nil, false, false) == nil {
		_ = b.Live(nil) // an error ends the stream
	}
	return true
}

// Held implements queue.Puller.
func (nothingKept) Held() int64 { return 0 }

// subscribeLast subscribes to topic, unless the client has done so, and gives it the last values.
func (s *stream) subscribeLast(ctx context.Context, topic []byte) error {
	s.deciding.Lock()
	defer s.deciding.Unlock()
	if _, err := s.known(topic); err != nil {
		return err
	}
	granted, c, _, err := s.add(ctx, topic)
	if err == nil {
		s.remember(zmtp.Subscription{Topic: topic})
	}
	switch {
	case err != nil:
		return err
	case s.history == nil:
		return s.change(ctx, c)
	}
	return s.history.SubscribeLast(c.filtered, granted.Prefixes...)
}
