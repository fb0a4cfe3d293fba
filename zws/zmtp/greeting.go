package zmtp

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/zwsbridge/zwsbridge/zap"
)

// The greeting of 37/ZMTP, "Formal Grammar":
//
//	greeting  = signature version mechanism as-server filler
//	signature = %xFF padding %x7F
//	padding   = 8OCTET           ; not significant
//	version   = %x03 %x01
//	mechanism = 20mechanism-char ; padded with zeros
//	as-server = %x00 | %x01
//	filler    = 31%x00
const (
	greetingSize      = 64
	greetingSignature = 10
	signatureFirst    = 0xFF
	signatureLast     = 0x7F
	majorAt           = 10
	minorAt           = 11
	versionedSize     = 12 // signature and version
	mechanismAt       = 12
	mechanismSize     = 20
	asServerAt        = 32

	ourMajor = 3
	ourMinor = 1
)

// holdBack is how long the rest of our greeting waits for the whole of the peer's. libzmq
// closes when it has read the greeting of another mechanism, before it has named its own;
// so we let it go first. Two peers that both let the other go first would wait for each
// other, hence the end.
const holdBack = 250 * time.Millisecond

// greeting is what a peer says of itself before the handshake.
type greeting struct {
	Major, Minor byte
	Mechanism    zap.Mechanism
	AsServer     bool
}

// marshal returns the 64 octets. Mechanism has at most 20.
func (g greeting) marshal() []byte {
	b := make([]byte, greetingSize)
	b[0], b[greetingSignature-1] = signatureFirst, signatureLast
	b[majorAt], b[minorAt] = g.Major, g.Minor
	copy(b[mechanismAt:mechanismAt+mechanismSize], g.Mechanism)
	if g.AsServer {
		b[asServerAt] = 1
	}
	return b
}

// checkGreeting looks at as much of a greeting as has arrived, so that a peer of another
// protocol is recognised although it will never send 64 octets.
func checkGreeting(b []byte) error {
	switch {
	case len(b) >= 2 && b[0] != signatureFirst && b[0] != 0 && b[1] <= 1:
		// ZMTP 1.0 begins with the length and the flags of a routing id.
		return fmt.Errorf("%w: it greets as ZMTP 1.0", ErrVersion)
	case len(b) >= 2 && b[0] != signatureFirst,
		len(b) >= greetingSignature && b[greetingSignature-1] != signatureLast:
		return fmt.Errorf("%w: it begins with %q", ErrNotZMTP, b[:min(len(b), greetingSignature)])
	case len(b) > majorAt && b[majorAt] < ourMajor:
		// The revision of ZMTP 2.0 is 1, that of 2.1 is 2.
		return fmt.Errorf("%w: its greeting has version %d", ErrVersion, b[majorAt])
	}
	return nil
}

// parseGreeting reads the 64 octets of a greeting. Padding and filler have no meaning.
func parseGreeting(b []byte) (greeting, error) {
	if len(b) != greetingSize {
		return greeting{}, fmt.Errorf("%w: greeting of %d octets: want %d", ErrProtocol, len(b), greetingSize)
	}
	if err := checkGreeting(b); err != nil {
		return greeting{}, err
	}
	name, padding, _ := bytes.Cut(b[mechanismAt:mechanismAt+mechanismSize], []byte{0})
	if len(name) == 0 || bytes.ContainsFunc(name, notMechanism) || len(bytes.Trim(padding, "\x00")) > 0 {
		return greeting{}, fmt.Errorf("%w: malformed mechanism name %q in the greeting", ErrProtocol, b[mechanismAt:asServerAt])
	}
	if b[asServerAt] > 1 {
		return greeting{}, fmt.Errorf("%w: as-server is %d in the greeting: want 0 or 1", ErrProtocol, b[asServerAt])
	}
	return greeting{
		Major: b[majorAt], Minor: b[minorAt],
		Mechanism: zap.Mechanism(name),
		AsServer:  b[asServerAt] == 1,
	}, nil
}

// notMechanism tells whether r may not stand in a mechanism's name.
func notMechanism(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.' && r != '+'
}

// minor is the version of ZMTP 3 that the peer speaks: whatever is newer than ours speaks
// ours too (37/ZMTP, "Version Negotiation").
func (g greeting) minor() byte {
	if g.Major > ourMajor {
		return ourMinor
	}
	return g.Minor
}

// greet exchanges greetings and checks that the peer is one that we can talk to.
func (c *Conn) greet(m zap.Mechanism, server bool) error {
	theirs, err := c.greetAs(ourMinor, m, server)
	if err != nil {
		return err
	}
	c.minor = theirs.minor()
	return nil
}

// greetAs is greet for a side that speaks 3.minor.
func (c *Conn) greetAs(minor byte, m zap.Mechanism, server bool) (theirs greeting, err error) {
	// NULL has no roles: as-server is zero for all (37/ZMTP, "Topology").
	ours := greeting{Major: ourMajor, Minor: minor, Mechanism: m, AsServer: server && m != zap.NULL}
	b, err := c.exchangeGreetings(ours.marshal(), server)
	if err != nil {
		return greeting{}, err
	}
	theirs, err = parseGreeting(b)
	switch {
	case err != nil:
		return greeting{}, err
	case theirs.Mechanism != m:
		return greeting{}, &MechanismError{Want: m, Got: theirs.Mechanism}
	case theirs.AsServer && ours.AsServer:
		return greeting{}, fmt.Errorf("%w: both sides want to be the %s server", ErrProtocol, m)
	}
	return theirs, nil
}

// exchangeGreetings sends our greeting and returns the peer's.
//
// A side that dialled sends signature and version at once and holds the rest back. A side
// that accepted waits for the peer's first octets: if they hold the version already, the
// peer sends it unasked and waits for our greeting, so it gets the whole; else it is as
// libzmq, goes on when it has our version, and gets no more than that at first.
func (c *Conn) exchangeGreetings(ours []byte, accepted bool) ([]byte, error) {
	rest := ours
	send := func(n int) {
		// A peer that has closed the connection may have said something before, which is
		// what to look at. So that a write has failed is left for the reads to find out.
		_ = c.writeRaw(rest[:n])
		rest = rest[n:]
	}
	if !accepted {
		send(versionedSize)
	}
	// Deadlines can only fail to be set on a connection that is closed, as reads find out.
	_ = c.nc.SetReadDeadline(time.Now().Add(holdBack))
	for len(c.in.peek()) < greetingSize {
		err := c.in.fill()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			_ = c.nc.SetReadDeadline(time.Time{})
			send(len(rest))
			err = nil
		}
		if err == nil {
			err = checkGreeting(c.in.peek())
		}
		if err != nil {
			return nil, err
		}
		untouched := len(rest) == greetingSize
		switch got := len(c.in.peek()); {
		case untouched && got >= versionedSize:
			send(greetingSize)
		case untouched && got > 0:
			c.stepwise = true
			send(versionedSize)
		}
	}
	// A peer that has sent its whole greeting gets the whole of ours, also if the
	// mechanisms differ (37/ZMTP, "Authentication and Confidentiality").
	send(len(rest))
	_ = c.nc.SetReadDeadline(time.Time{})
	return bytes.Clone(c.in.take(greetingSize)), nil
}
