package zmtp

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/zwsbridge/zwsbridge/zap"
)

// defect is one mistake of a peer in an otherwise correct handshake.
type defect struct {
	name string
	at   int // index of the command in the flow
	// spoil returns the command to send instead of in; nil if in cannot have the defect.
	spoil func(in Command) *Command
}

func rename(name string) func(Command) *Command {
	return func(in Command) *Command {
		if in.Name == name {
			return nil
		}
		return &Command{name, in.Data}
	}
}

func data(d string) func(Command) *Command {
	return func(in Command) *Command { return &Command{in.Name, []byte(d)} }
}

// misbehave runs the handshake of p with one defect. The side that receives it must fail with
// a protocol error, send nothing, and have no secret in the text of the error.
func misbehave(t *testing.T, p *pair, d defect) {
	t.Helper()
	client, server := p.sides(t)
	sides := []Mechanism{server, client}
	out, err := client.Next(t.Context(), nil)
	for i := 0; i < d.at; i++ {
		if err != nil || out == nil {
			t.Fatalf("the handshake failed before command %d: %v", d.at, err)
		}
		out, err = sides[i%2].Next(t.Context(), out)
	}
	in := d.spoil(Command{out.Name, bytes.Clone(out.Data)})
	if in == nil {
		return
	}
	victim := sides[d.at%2]
	out, err = victim.Next(t.Context(), in)
	if !errors.Is(err, ErrProtocol) || out != nil || victim.Done() {
		t.Errorf("got %v, %v, done %v; want a protocol error and no command", out, err, victim.Done())
	}
	checkNoSecret(t, err)
}

func checkNoSecret(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, secret := range []string{testPassword, testToken} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error contains a secret: %v", err)
		}
	}
}

// good checks that the handshake of p succeeds.
func good(t *testing.T, p *pair) {
	t.Helper()
	client, server := p.sides(t)
	got := shake(t, client, server)
	if !client.Done() || !server.Done() {
		t.Errorf("a good peer was not accepted: %v, %v", got.clientErr, got.serverErr)
	}
}

// TestMisbehavingPeer replaces every command of every mechanism: by another, in the wrong
// order, too short, too long.
func TestMisbehavingPeer(t *testing.T) {
	everywhere := []defect{
		{name: "unknown command", spoil: rename("NONSENSE")},
		{name: "lower case", spoil: func(in Command) *Command { return &Command{strings.ToLower(in.Name), in.Data} }},
		{name: "HELLO", spoil: rename(cmdHello)},
		{name: "WELCOME", spoil: rename(cmdWelcome)},
		{name: "INITIATE", spoil: rename(cmdInitiate)},
		{name: "READY", spoil: rename(cmdReady)},
		{name: "MESSAGE", spoil: rename(cmdMessage)},
		{name: "PING", spoil: rename(cmdPing)},
		{name: "SUBSCRIBE", spoil: rename(cmdSubscribe)},
		{name: "ERROR without a reason", spoil: func(Command) *Command { return &Command{cmdError, nil} }},
		{name: "ERROR with trailing bytes", spoil: func(Command) *Command { return &Command{cmdError, []byte("\x03400 ")} }},
		{name: "one byte too many", spoil: func(in Command) *Command { return &Command{in.Name, append(in.Data, 0)} }},
		{name: "one byte too few", spoil: func(in Command) *Command {
			if len(in.Data) == 0 {
				return nil
			}
			return &Command{in.Name, in.Data[:len(in.Data)-1]}
		}},
	}
	forEachMechanism(t, func(t *testing.T, m zap.Mechanism) {
		p := newPair(t, m)
		for at, name := range flows[m] {
			for _, d := range everywhere {
				if m == zap.BEARER && at == 0 && strings.HasPrefix(d.name, "one byte") {
					continue // a token of any length is valid; the ZAP handler decides
				}
				d.at = at
				t.Run(fmt.Sprintf("%s %s", name, d.name), func(t *testing.T) { misbehave(t, p, d) })
			}
		}
		good(t, p)
	})
}

// TestDuplicateCommand checks that a correct command is refused the second time.
func TestDuplicateCommand(t *testing.T) {
	forEachMechanism(t, func(t *testing.T, m zap.Mechanism) {
		p := newPair(t, m)
		for at, name := range flows[m] {
			client, server, out := advance(t, p, at)
			victim := []Mechanism{server, client}[at%2]
			if _, err := victim.Next(t.Context(), out); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if again, err := victim.Next(t.Context(), out); again != nil || !errors.Is(err, ErrProtocol) {
				t.Errorf("%s a second time: %v, %v", name, again, err)
			}
		}
		good(t, p)
	})
}

// TestServerSpeaksFirst checks a server that sends a command before the client has.
func TestServerSpeaksFirst(t *testing.T) {
	forEachMechanism(t, func(t *testing.T, m zap.Mechanism) {
		p := newPair(t, m)
		for _, name := range []string{cmdWelcome, cmdReady, cmdError} {
			client, _ := p.sides(t)
			if out, err := client.Next(t.Context(), &Command{Name: name}); out != nil || !errors.Is(err, ErrProtocol) {
				t.Errorf("%s: %v, %v", name, out, err)
			}
		}
	})
}

// TestErrorFromAClient checks that only servers, and with NULL both sides, can send ERROR.
func TestErrorFromAClient(t *testing.T) {
	for _, m := range []zap.Mechanism{zap.PLAIN, zap.BEARER, zap.CURVE} {
		for _, at := range []int{0, 2} {
			misbehave(t, newPair(t, m), defect{at: at, spoil: func(Command) *Command {
				return &Command{cmdError, []byte("\x03400")}
			}})
		}
	}
}

func TestMalformedHello(t *testing.T) {
	p := newPair(t, zap.PLAIN)
	for _, d := range []defect{
		{name: "empty", spoil: data("")},
		{name: "user name cut off", spoil: data("\x05anna")},
		{name: "no password", spoil: data("\x04anna")},
		{name: "password cut off", spoil: data("\x04anna\x02p")},
		{name: "password of another size", spoil: data("\x04anna\x01pp")},
		{name: "user name longer than the command", spoil: data("\xffanna\x01p")},
		{name: "HELLO of CURVE", spoil: data("\x01\x00" + strings.Repeat("\x00", 192))},
	} {
		t.Run(d.name, func(t *testing.T) { misbehave(t, p, d) })
	}
	good(t, p)
}

// TestMalformedMetadata checks the metadata of READY and INITIATE.
func TestMalformedMetadata(t *testing.T) {
	many := strings.Repeat("\x01n\x00\x00\x00\x00", zap.MaxProperties+1)
	defects := []defect{
		{name: "empty name", spoil: data("\x00\x00\x00\x00\x00")},
		{name: "name cut off", spoil: data("\x0bSocket")},
		{name: "no value", spoil: data("\x0bSocket-Type")},
		{name: "value size cut off", spoil: data("\x0bSocket-Type\x00\x00\x00")},
		{name: "value cut off", spoil: data("\x0bSocket-Type\x00\x00\x00\x04SUB")},
		{name: "value of 4 GiB", spoil: data("\x0bSocket-Type\xff\xff\xff\xffSUB")},
		{name: "too many properties", spoil: data(many)},
	}
	for _, c := range []struct {
		m  zap.Mechanism
		at []int
	}{{zap.NULL, []int{0, 1}}, {zap.PLAIN, []int{2, 3}}, {zap.BEARER, []int{2, 3}}} {
		p := newPair(t, c.m)
		for _, at := range c.at {
			for _, d := range defects {
				d.at = at
				t.Run(fmt.Sprintf("%s %s %s", c.m, flows[c.m][at], d.name), func(t *testing.T) { misbehave(t, p, d) })
			}
		}
		good(t, p)
	}
}

// TestMaxProperties checks that the greatest number of properties is accepted.
func TestMaxProperties(t *testing.T) {
	_, server := newPair(t, zap.NULL).sides(t)
	most := strings.Repeat("\x01n\x00\x00\x00\x00", zap.MaxProperties)
	if _, err := server.Next(t.Context(), &Command{cmdReady, []byte(most)}); err != nil || !server.Done() {
		t.Errorf("%d properties: %v", zap.MaxProperties, err)
	}
}
