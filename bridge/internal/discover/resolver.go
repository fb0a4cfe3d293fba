package discover

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// resolver asks the servers of a resolv.conf for SRV records. Go's own resolver does not tell
// the TTL.
type resolver struct {
	file string
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func newResolver() *resolver {
	return &resolver{file: resolvConfFile, dial: new(net.Dialer).DialContext}
}

// lookup returns the SRV records of a name, following aliases.
func (r *resolver) lookup(ctx context.Context, name string) (*answer, error) {
	conf, err := readResolvConf(r.file)
	if err != nil {
		return nil, err
	}
	ttl := maxInterval
	for range maxAliases {
		n, err := dnsmessage.NewName(name)
		if err != nil {
			return nil, fmt.Errorf("%q is not a DNS name: %w", name, err)
		}
		a, err := r.ask(ctx, conf, n)
		if err != nil {
			return nil, err
		}
		ttl = min(ttl, a.ttl)
		if a.next == "" {
			a.ttl = ttl
			return a, nil
		}
		name = a.next
	}
	return nil, fmt.Errorf("more than %d aliases", maxAliases)
}

// ask asks the servers in turn, as often as resolv.conf says, until one answers.
func (r *resolver) ask(ctx context.Context, conf *resolvConf, name dnsmessage.Name) (*answer, error) {
	err := errNoServers
	for range conf.attempts {
		for _, server := range conf.servers {
			a, failed := r.exchange(ctx, conf.timeout, server, name)
			if failed == nil {
				return a, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			err = fmt.Errorf("DNS server %s: %w", server, failed)
		}
	}
	return nil, err
}

// exchange asks one server, by TCP if the answer does not fit into UDP.
func (r *resolver) exchange(ctx context.Context, timeout time.Duration, server string, name dnsmessage.Name) (*answer, error) {
	a, err := r.exchangeUDP(ctx, timeout, server, name)
	if errors.Is(err, errTruncated) {
		return r.exchangeTCP(ctx, timeout, server, name)
	}
	return a, err
}

func (r *resolver) exchangeUDP(ctx context.Context, timeout time.Duration, server string, name dnsmessage.Name) (*answer, error) {
	id, conn, stop, err := r.send(ctx, timeout, "udp", server, name)
	if err != nil {
		return nil, err
	}
	defer stop()
	for buf := make([]byte, 1<<16); ; {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, noAnswer(err)
		}
		// What is not the answer may be forged: the right one can still come.
		if a, err := parseAnswer(buf[:n], id, name); !errors.Is(err, errForeign) {
			return a, err
		}
	}
}

func (r *resolver) exchangeTCP(ctx context.Context, timeout time.Duration, server string, name dnsmessage.Name) (*answer, error) {
	id, conn, stop, err := r.send(ctx, timeout, "tcp", server, name)
	if err != nil {
		return nil, err
	}
	defer stop()
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, noAnswer(err)
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, msg); err != nil {
		return nil, noAnswer(err)
	}
	return parseAnswer(msg, id, name)
}

// send connects to a server and writes a query. stop closes the connection, which has a deadline
// and is closed when ctx is done.
func (r *resolver) send(ctx context.Context, timeout time.Duration, network, server string, name dnsmessage.Name) (id uint16, conn net.Conn, stop func(), err error) {
	id = uint16(rand.Uint32())
	query, err := newQuery(id, name)
	if err != nil {
		return 0, nil, nil, err
	}
	if network == "tcp" {
		query = append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	if conn, err = r.dial(ctx, network, server); err != nil {
		cancel()
		return 0, nil, nil, err
	}
	unfollow := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	stop = func() {
		unfollow()
		cancel()
		_ = conn.Close()
	}
	if _, err := conn.Write(query); err != nil {
		stop()
		return 0, nil, nil, err
	}
	return id, conn, stop, nil
}

// noAnswer returns the error for an answer that did not come.
func noAnswer(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return errors.New("no answer in time")
	}
	return err
}
