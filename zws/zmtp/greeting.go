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

	// The version that this package speaks.
	ourMajor = 3
	ourMinor = 1
)

// holdBack is how long the second part of the greeting waits for the whole of the peer's.
// libzmq closes the connection when it reads another mechanism than its own, and has not
// always sent its own by then; letting it go first makes a *MechanismError possible. The limit
// is there because two sides that both wait would wait for ever.
const holdBack = 250 * time.Millisecond

// greeting is the content of a greeting.
type greeting struct {
	Major, Minor byte
	Mechanism    zap.Mechanism // at most mechanismSize bytes
	AsServer     bool
}

// marshal returns the encoding, which is greetingSize bytes long.
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

// checkGreeting checks as much of a greeting as has arrived, because a peer of another
// protocol may never send all of its bytes.
func checkGreeting(b []byte) error {
	switch {
	case len(b) >= 2 && b[0] != signatureFirst && b[0] != 0 && b[1] <= 1:
		// ZMTP 1.0 begins with the length and the flags of a routing id.
		return fmt.Errorf("%w: its greeting is that of ZMTP 1.0", ErrVersion)
	case len(b) >= 2 && b[0] != signatureFirst,
		len(b) >= greetingSignature && b[greetingSignature-1] != signatureLast:
		return fmt.Errorf("%w: it begins with %q", ErrNotZMTP, b[:min(len(b), greetingSignature)])
	case len(b) > majorAt && b[majorAt] < ourMajor:
		// The revision of ZMTP 2.0 is 1, that of 2.1 is 2.
		return fmt.Errorf("%w: its greeting has version %d", ErrVersion, b[majorAt])
	}
	return nil
}

// parseGreeting parses a complete greeting. Padding and filler have no meaning.
func parseGreeting(b []byte) (greeting, error) {
	if len(b) != greetingSize {
		return greeting{}, fmt.Errorf("%w: greeting of %d bytes, want %d", ErrProtocol, len(b), greetingSize)
	}
	if err := checkGreeting(b); err != nil {
		return greeting{}, err
	}
	name, padding, _ := bytes.Cut(b[mechanismAt:mechanismAt+mechanismSize], []byte{0})
	if len(name) == 0 || bytes.ContainsFunc(name, notMechanism) || len(bytes.Trim(padding, "\x00")) > 0 {
		return greeting{}, fmt.Errorf("%w: malformed mechanism name %q in the greeting", ErrProtocol, b[mechanismAt:asServerAt])
	}
	if b[asServerAt] > 1 {
		return greeting{}, fmt.Errorf("%w: as-server is %d in the greeting, want 0 or 1", ErrProtocol, b[asServerAt])
	}
	return greeting{
		Major: b[majorAt], Minor: b[minorAt],
		Mechanism: zap.Mechanism(name),
		AsServer:  b[asServerAt] == 1,
	}, nil
}

// notMechanism reports whether r is not a mechanism-char.
func notMechanism(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.' && r != '+'
}

// minor returns the minor version of ZMTP 3 that the peer speaks. A peer of a later major
// version speaks ourMinor (37/ZMTP, "Version Negotiation").
func (g greeting) minor() byte {
	if g.Major > ourMajor {
		return ourMinor
	}
	return g.Minor
}

// greet exchanges greetings as a side that speaks ZMTP 3.minor and checks that the two sides
// go together.
func (c *Conn) greet(minor byte, m zap.Mechanism, server bool) error {
	err := c.greetAs(minor, m, server)
	if t, ok := errors.AsType[*transportError](err); ok && !server {
		t.meaning = ErrClosedBeforeGreeting
	}
	return err
}

func (c *Conn) greetAs(minor byte, m zap.Mechanism, server bool) error {
	// NULL has no roles: as-server is zero on both sides (37/ZMTP, "Topology").
	ours := greeting{Major: ourMajor, Minor: minor, Mechanism: m, AsServer: server && m != zap.NULL}
	sent := 0
	if c.o.ZMTP2 && m == zap.NULL {
		var err error
		if sent, err = c.negotiate(ours.marshal(), server); err != nil || c.older != nil {
			return err
		}
	}
	b, err := c.exchangeGreetings(ours.marshal(), sent, server)
	if err != nil {
		return err
	}
	theirs, err := parseGreeting(b)
	switch {
	case err != nil:
		return err
	case theirs.Mechanism != m:
		return &MechanismError{Want: m, Got: theirs.Mechanism}
	case theirs.AsServer && ours.AsServer:
		return fmt.Errorf("%w: both sides want to be the %s server", ErrProtocol, m)
	}
	c.minor = theirs.minor()
	return nil
}

// exchangeGreetings sends a greeting and returns the peer's.
//
// A side that dialled sends signature and version at once and holds the rest back. A side
// that accepted waits for the first bytes of the peer. If these include the version, the peer
// does not wait for anything and gets the whole greeting; otherwise it greets in steps, as
// libzmq does, and gets signature and version first. If the first bytes were sent already, the
// rest waits for the peer's greeting.
func (c *Conn) exchangeGreetings(ours []byte, sent int, accepted bool) ([]byte, error) {
	rest := ours[sent:]
	send := func(n int) {
		// A failed write is left for the reads to report: a peer that has closed the
		// connection may have sent something before, which says more.
		_ = c.writeRaw(rest[:n])
		rest = rest[n:]
	}
	if !accepted && sent == 0 {
		send(versionedSize)
	}
	// Setting a deadline fails on a closed connection only, which the reads report.
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
		unsent := len(rest) == greetingSize
		switch got := len(c.in.peek()); {
		case unsent && got >= versionedSize:
			send(greetingSize)
		case unsent && got > 0:
			c.greetsInSteps = true
			send(versionedSize)
		}
	}
	// The peer gets the whole greeting even if the mechanisms differ (37/ZMTP,
	// "Authentication and Confidentiality").
	send(len(rest))
	_ = c.nc.SetReadDeadline(time.Time{})
	return bytes.Clone(c.in.take(greetingSize)), nil
}
