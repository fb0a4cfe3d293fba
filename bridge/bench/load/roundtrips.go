package load

import (
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Requests is a load of round trips.
type Requests struct {
	Start    func(*Server) error          // starts the server; a ROUTER that echoes listens on srv.Feed
	Login    func(*Server) (*Conn, error) // connects one client
	Clients  int
	InFlight int // requests that each client has in flight
	Pace
}

// RoundTrips measures round trips through a server to an echo.
func RoundTrips(r Requests) (Result, error) {
	r.Pace = r.withDefaults()
	srv, stop, err := r.start()
	if err != nil {
		return Result{}, err
	}
	defer stop()
	conns, err := r.connect(srv, r.Clients)
	defer hangUp(conns)
	if err != nil {
		return Result{}, err
	}
	if _, err := trips(conns, r.InFlight, r.WarmUp); err != nil {
		return Result{}, err
	}
	cpu := srv.cpu()
	n, err := trips(conns, r.InFlight, r.Duration)
	cpu = srv.cpu() - cpu
	return Result{
		Rate: float64(n) / r.Duration.Seconds(),
		CPU:  time.Duration(float64(cpu) / float64(max(n, 1)) * 1e6),
	}, err
}

// IdleRequests returns the resident memory in bytes that a client costs which sends nothing, as the
// growth by r.Clients of them. It waits for rest before it looks.
func IdleRequests(r Requests, rest time.Duration) (bytes int64, err error) {
	srv, stop, err := r.start()
	if err != nil {
		return 0, err
	}
	defer stop()
	first, err := r.connect(srv, 1)
	defer hangUp(first)
	if err != nil {
		return 0, err
	}
	before, err := srv.resident()
	if err != nil {
		return 0, err
	}
	conns, err := r.connect(srv, r.Clients)
	defer hangUp(conns)
	if err != nil {
		return 0, err
	}
	time.Sleep(rest)
	after, err := srv.resident()
	return (after - before) / int64(r.Clients), err
}

// start starts the server and the echo.
func (r Requests) start() (srv *Server, stop func(), err error) {
	if srv, err = newServer(false); err != nil {
		return nil, nil, err
	}
	l, err := listenEcho(srv.Feed, "ROUTER")
	if err != nil {
		srv.stop()
		return nil, nil, err
	}
	stop = func() {
		l.Close()
		srv.stop()
	}
	if err = r.Start(srv); err == nil {
		err = srv.wait()
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return srv, stop, nil
}

// connect connects n clients. With an error it returns those that are connected.
func (r Requests) connect(srv *Server, n int) (conns []*Conn, err error) {
	for range n {
		c, err := r.Login(srv)
		if err != nil {
			return conns, fmt.Errorf("%w; output of the server: %s", err, srv.tail())
		}
		conns = append(conns, c)
	}
	return conns, nil
}

func hangUp(conns []*Conn) {
	for _, c := range conns {
		c.Close()
	}
}

// requester is a client that has requests in flight.
type requester struct {
	counter
	fd       int
	answered int64
}

// trips counts the round trips that the clients make in d, with inFlight requests each. One
// goroutine serves all clients, as swarm.loop does for those that only read.
func trips(conns []*Conn, inFlight int, d time.Duration) (total int, err error) {
	poll, err := unix.EpollCreate1(0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(poll)
	request := appendFrame(nil, OpBinary, append([]byte{0}, make([]byte, MessageSize)...))
	var batch []byte
	for range inFlight {
		batch = append(batch, request...)
	}
	requesters := make(map[int32]*requester)
	for _, c := range conns {
		r, err := newRequester(poll, c)
		if err != nil {
			return 0, err
		}
		requesters[int32(r.fd)] = r
		if err := r.send(batch); err != nil {
			return 0, err
		}
	}
	events := make([]unix.EpollEvent, 512)
	buffer := make([]byte, 256<<10)
	end := time.Now().Add(d)
	for missing := inFlight * len(conns); missing > 0; {
		if time.Since(end) > 5*time.Second {
			return total, fmt.Errorf("after %d round trips, %d answers are missing", total, missing)
		}
		n, err := unix.EpollWait(poll, events, 100)
		if err != nil && err != unix.EINTR {
			return total, err
		}
		over := time.Now().After(end)
		for _, e := range events[:max(n, 0)] {
			r := requesters[e.Fd]
			answers, err := r.read(buffer)
			if err != nil {
				return total, err
			}
			if over {
				missing -= answers
				continue
			}
			total += answers
			if err := r.send(batch[:answers*len(request)]); err != nil {
				return total, err
			}
		}
	}
	return total, nil
}

func newRequester(poll int, c *Conn) (*requester, error) {
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	r := &requester{}
	err = raw.Control(func(fd uintptr) { r.fd = int(fd) })
	if err != nil {
		return nil, err
	}
	return r, unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, r.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(r.fd)})
}

// send writes requests. The socket's buffer has room for all that are in flight.
func (r *requester) send(requests []byte) error {
	n, err := unix.Write(r.fd, requests)
	if err == nil && n < len(requests) {
		err = fmt.Errorf("the server took %d bytes of %d", n, len(requests))
	}
	return err
}

// read reads once and returns how many answers arrived.
func (r *requester) read(buffer []byte) (int, error) {
	n, err := unix.Read(r.fd, buffer)
	switch {
	case err == unix.EAGAIN:
		return 0, nil
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	r.count(buffer[:n])
	answers := r.payload/(1+MessageSize) - r.answered
	r.answered += answers
	return int(answers), nil
}
