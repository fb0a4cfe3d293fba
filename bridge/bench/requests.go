package main

import (
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// requests measures round trips through a bridge to an echo: clients with so many
// requests in flight each.
func requests(start func(*server) error, login func(*server) (*wsConn, error), clients, flight int, d time.Duration) (figures, error) {
	srv, err := newServer(false)
	if err != nil {
		return figures{}, err
	}
	defer srv.stop()
	l, err := echo(srv.feed, "ROUTER")
	if err != nil {
		return figures{}, err
	}
	defer l.Close()
	if err := start(srv); err != nil {
		return figures{}, err
	}
	if err := srv.wait(); err != nil {
		return figures{}, err
	}
	var conns []*wsConn
	for range clients {
		c, err := login(srv)
		if err != nil {
			return figures{}, fmt.Errorf("%w: %s", err, tail(srv.output.String()))
		}
		defer c.Close()
		conns = append(conns, c)
	}
	if _, err := trips(conns, flight, time.Second); err != nil {
		return figures{}, err
	}
	cpu := srv.cpu()
	n, err := trips(conns, flight, d)
	cpu = srv.cpu() - cpu
	return figures{rate: float64(n) / d.Seconds(), cpu: time.Duration(float64(cpu) / float64(max(n, 1)) * 1e6)}, err
}

// asker is a client that has requests in flight.
type asker struct {
	counter
	fd       int
	answered int64
}

// trips counts the round trips that the clients make in d, with so many requests in flight
// each. One goroutine does for all of them what swarm.loop does for those that only listen.
func trips(conns []*wsConn, flight int, d time.Duration) (total int, err error) {
	poll, err := unix.EpollCreate1(0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(poll)
	request := appendFrame(nil, opBinary, append([]byte{0}, make([]byte, messageSize)...))
	var batch []byte
	for range flight {
		batch = append(batch, request...)
	}
	askers := make(map[int32]*asker)
	for _, c := range conns {
		a, err := newAsker(poll, c)
		if err != nil {
			return 0, err
		}
		askers[int32(a.fd)] = a
		if err := a.ask(batch); err != nil {
			return 0, err
		}
	}
	events := make([]unix.EpollEvent, 512)
	buffer := make([]byte, 256<<10)
	end := time.Now().Add(d)
	for flying := flight * len(conns); flying > 0; {
		if time.Since(end) > 5*time.Second {
			return total, fmt.Errorf("after %d round trips, %d answers are missing", total, flying)
		}
		n, err := unix.EpollWait(poll, events, 100)
		if err != nil && err != unix.EINTR {
			return total, err
		}
		over := time.Now().After(end)
		for _, e := range events[:max(n, 0)] {
			a := askers[e.Fd]
			fresh, err := a.hear(buffer)
			if err != nil {
				return total, err
			}
			if over {
				flying -= fresh
				continue
			}
			total += fresh
			if err := a.ask(batch[:fresh*len(request)]); err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

func newAsker(poll int, c *wsConn) (*asker, error) {
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	a := &asker{}
	err = raw.Control(func(fd uintptr) { a.fd = int(fd) })
	if err != nil {
		return nil, err
	}
	return a, unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, a.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(a.fd)})
}

// ask writes requests, which the socket has room for.
func (a *asker) ask(requests []byte) error {
	n, err := unix.Write(a.fd, requests)
	if err == nil && n < len(requests) {
		err = fmt.Errorf("the server took %d octets of %d", n, len(requests))
	}
	return err
}

// hear reads once and tells how many answers came.
func (a *asker) hear(buffer []byte) (int, error) {
	n, err := unix.Read(a.fd, buffer)
	switch {
	case err == unix.EAGAIN:
		return 0, nil
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	a.count(buffer[:n])
	fresh := a.payload/(1+messageSize) - a.answered
	a.answered += fresh
	return int(fresh), nil
}
