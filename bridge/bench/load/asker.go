package load

import (
	"bytes"
	"fmt"
	"sync"
	"time"
)

// messageMark precedes the stamp of every message that the publisher sends. Counting it counts
// messages in the same way with every protocol, however it frames them.
var messageMark = []byte(" @@0")

// askTimeout is how long a client waits for everything that it has asked for.
const askTimeout = 30 * time.Second

// asker is a client that asks for what it has missed.
type asker struct {
	conn    *Conn
	request []byte
	first   []byte // the beginning of what arrived
	buffer  []byte
	have    int // bytes at the beginning of buffer that may be the first of a mark
}

func newAsker(c *Conn, opcode byte, request string) *asker {
	return &asker{conn: c, request: appendFrame(nil, opcode, []byte(request)), buffer: make([]byte, 32<<10)}
}

// ask sends the request and returns when the given number of messages has arrived.
func (a *asker) ask(messages int) error {
	if _, err := a.conn.Write(a.request); err != nil {
		return err
	}
	return a.receive(messages)
}

// receive returns when the given number of messages has arrived.
func (a *asker) receive(messages int) error {
	a.conn.SetDeadline(time.Now().Add(askTimeout))
	for got := 0; got < messages; {
		n, err := a.read()
		got += n
		if err != nil {
			return fmt.Errorf("after %d of %d messages: %w; the server sent first: %q", got, messages, err, a.first)
		}
	}
	return nil
}

// read reads once and returns the number of messages that have begun.
func (a *asker) read() (int, error) {
	n, err := a.conn.in.Read(a.buffer[a.have:])
	p := a.buffer[:a.have+n]
	if room := 1024 - len(a.first); room > 0 {
		a.first = append(a.first, p[a.have:min(len(p), a.have+room)]...)
	}
	count := bytes.Count(p, messageMark)
	a.have = copy(a.buffer, p[max(0, len(p)-len(messageMark)+1):])
	return count, err
}

// login connects one client of h, which asks with what request returns.
func (h *Historian) login(srv *Server, i int, position string) (*asker, error) {
	c, err := h.Login(srv, i)
	if err != nil {
		return nil, err
	}
	return newAsker(c, h.Opcode, h.Ask(i, position)), nil
}

// crowd connects n clients of h, 32 at a time.
func (h *Historian) crowd(srv *Server, n int, position string) ([]*asker, error) {
	all, failed := make([]*asker, n), make([]error, 32)
	var dialing sync.WaitGroup
	for w := range failed {
		dialing.Go(func() {
			for i := w; i < n && failed[w] == nil; i += len(failed) {
				all[i], failed[w] = h.login(srv, i, position)
			}
		})
	}
	dialing.Wait()
	for _, err := range failed {
		if err != nil {
			closeAll(all)
			return nil, err
		}
	}
	return all, nil
}

func closeAll(askers []*asker) {
	for _, a := range askers {
		if a != nil {
			a.conn.Close()
		}
	}
}

// askAtOnce has all ask at the same time and returns the first error, or nil when all have got
// what they asked for.
func askAtOnce(askers []*asker, messages int) error {
	failed := make([]error, len(askers))
	start := make(chan struct{})
	var asking sync.WaitGroup
	for i, a := range askers {
		asking.Go(func() {
			<-start
			failed[i] = a.ask(messages)
		})
	}
	close(start)
	asking.Wait()
	without := 0
	var first error
	for _, err := range failed {
		if err != nil {
			without++
			first = err
		}
	}
	if first != nil {
		return fmt.Errorf("%d of %d clients did not get everything: %w", without, len(askers), first)
	}
	return nil
}
