package load

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Live is a running server with a publisher, whose clients the caller connects.
type Live struct {
	*Server
	setup setup
}

// StartLive starts a peer and its publisher. [Live.Close] ends both.
func StartLive(p *Peer) (*Live, error) {
	l := new(Live)
	err := l.setup.start(p, Profile{})
	l.Server = l.setup.srv
	if err != nil {
		defer l.Close()
		return nil, l.setup.explain(err)
	}
	if p.Publisher == nil {
		l.setup.publisher.encode = twoFrames()
	}
	return l, nil
}

// Close ends the publisher and the server.
func (l *Live) Close() { l.setup.close() }

// Publish publishes rate messages a second for d, whether or not they are received.
func (l *Live) Publish(rate int, d time.Duration) error {
	sent := 0
	for start := time.Now(); time.Since(start) < d; time.Sleep(time.Millisecond) {
		due := int(time.Since(start).Seconds() * float64(rate))
		for sent < due {
			n := min(due-sent, burstSize)
			if err := l.setup.publisher.flood(n); err != nil {
				return l.setup.explain(err)
			}
			sent += n
		}
	}
	return nil
}

// LiveTopics is how many topics the publisher of a [Live] with a PUB has: [Topic] with a digit.
const LiveTopics = 4

// twoFrames returns an encoder for ZMTP that puts a topic before each message, in a frame of its own.
func twoFrames() Encoder {
	n := 0
	return func(dst, message []byte) []byte {
		topic := fmt.Sprint(Topic, n%LiveTopics)
		n++
		dst = append(append(dst, 1, byte(len(topic))), topic...)
		return zmtpFrame(dst, message)
	}
}

// PageBridge returns zwsbridge with the defaults of its configuration. It serves the files of the
// directory pages, and on the route /sub clients without a login.
func PageBridge(program, pages string) *Peer {
	return &Peer{Name: "zwsbridge", Start: func(srv *Server) error {
		config := fmt.Sprintf("[server]\nlisten = %q\ntls = \"off\"\nstatic = %q\n", srv.Address, pages) +
			"[zap]\nchain = [{ authn = \"guests\" }]\n[auth.guests]\ntype = \"anonymous\"\n" +
			fmt.Sprintf("[[route]]\npath = \"/sub\"\nsocket = \"SUB\"\nconnect = [\"tcp://%s\"]\nclient_mechanisms = [\"NULL\"]\n", srv.Feed)
		file := filepath.Join(srv.Dir, "bridge.toml")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			return err
		}
		return srv.Launch(program, "serve", "--config", file)
	}}
}
