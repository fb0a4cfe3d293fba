package load

import (
	"slices"
	"time"
)

// keptPrefix is what the names of all topics of [TopicName] begin with.
const keptPrefix = "house/"

// asBridge connects one client of a bridge that [BridgeHistorian] describes, which asks with
// request.
func (s *setup) asBridge(request string) (*asker, error) {
	c, err := plainLogin(s.srv, "/sub", "SUB", asksHistory)
	if err != nil {
		return nil, err
	}
	return newAsker(c, OpBinary, request), nil
}

// keep publishes n messages, of the given number of topics in turn, and returns when the bridge
// has delivered all of them.
func (s *setup) keep(n, topics int) error {
	const step = 4096
	witness, err := s.asBridge(bridgeResume("", keptPrefix))
	if err != nil {
		return err
	}
	defer witness.conn.Close()
	if err := witness.ask(0); err != nil {
		return err
	}
	var names []string
	for i := 0; i < n; i += len(names) {
		names = names[:0]
		for k := i; k < min(i+step, n); k++ {
			names = append(names, TopicName(k%topics))
		}
		for some := range slices.Chunk(names, burstSize) {
			if err := s.publisher.publishAbout(some); err != nil {
				return err
			}
		}
		if err := witness.receive(len(names)); err != nil {
			return err
		}
	}
	return nil
}

// LastValues is a load of one client that asks for the last values of many topics.
type LastValues struct {
	Topics int
	Rate   int // live messages per second, to another client
}

// Run starts a bridge that [BridgeHistorian] describes and measures once what the last values
// cost. Without is the longest time that a live message took in a second without them.
func (l LastValues) Run(h *Historian) (with Replay, without time.Duration, err error) {
	s, err := newSetup(h.Peer, Profile{Clients: 1, Pace: Pace{}.withDefaults()})
	if err != nil {
		return Replay{}, 0, err
	}
	defer s.close()
	if err := s.keep(l.Topics, l.Topics); err != nil {
		return Replay{}, 0, s.explain(err)
	}
	idle, err := s.replay(l.Rate, func() error { return nil })
	if err != nil {
		return Replay{}, 0, s.explain(err)
	}
	a, err := s.asBridge("\x02\x04LAST" + keptPrefix)
	if err != nil {
		return Replay{}, 0, s.explain(err)
	}
	defer a.conn.Close()
	if with, err = s.replay(l.Rate, func() error { return a.ask(l.Topics) }); err != nil {
		err = s.explain(err)
	}
	return with, idle.Max, err
}

// OneTopic is a load of clients that resume one topic each, one client after the other.
type OneTopic struct {
	Kept    int // messages that the bridge keeps
	Each    int // of them that a client gets
	Clients int
}

// Answered is the processor time of the bridge for one request of a client that is connected.
type Answered struct {
	Resume time.Duration
	Ping   time.Duration // of WebSocket, on a connection that was as idle: one read and one write
}

// Run starts a bridge that [BridgeHistorian] describes and measures several times what one resume
// costs, without login.
func (l OneTopic) Run(h *Historian, times int) ([]Answered, error) {
	s, err := newSetup(h.Peer, Profile{Clients: 1, Pace: Pace{}.withDefaults()})
	if err != nil {
		return nil, err
	}
	defer s.close()
	took, err := l.run(s, times)
	if err != nil {
		err = s.explain(err)
	}
	return took, err
}

func (l OneTopic) run(s *setup, times int) (took []Answered, err error) {
	if err := s.keep(l.Kept, l.Kept/l.Each); err != nil {
		return nil, err
	}
	probe, err := s.asBridge(bridgeResume("", KeptTopic))
	if err != nil {
		return nil, err
	}
	defer probe.conn.Close()
	if err := probe.ask(l.Each); err != nil {
		return nil, err
	}
	position, err := bridgePosition(probe.first)
	if err != nil {
		return nil, err
	}
	for range times {
		one, err := l.answer(s, position)
		if err != nil {
			return nil, err
		}
		took = append(took, one)
	}
	return took, nil
}

// answer connects the clients, and then has each of them resume another topic than that of the
// position, and as many others ping.
func (l OneTopic) answer(s *setup, position string) (took Answered, err error) {
	var all []*asker
	defer func() { closeAll(all) }()
	for i := range 2 * l.Clients {
		a, err := s.asBridge(bridgeResume(position, TopicName(1+i)))
		if err != nil {
			return took, err
		}
		if all = append(all, a); i >= l.Clients {
			a.request = appendFrame(nil, opPing, messageMark)
		}
	}
	if took.Resume, err = s.each(all[:l.Clients], l.Each); err != nil {
		return took, err
	}
	took.Ping, err = s.each(all[l.Clients:], 1)
	return took, err
}

// each has askers ask for that many messages, one after the other, and returns what one of them
// has cost the server.
func (s *setup) each(askers []*asker, messages int) (time.Duration, error) {
	s.quiet()
	cpu := s.srv.cpu()
	for _, a := range askers {
		if err := a.ask(messages); err != nil {
			return 0, err
		}
	}
	return (s.srv.cpu() - cpu) / time.Duration(len(askers)), nil
}
