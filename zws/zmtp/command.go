package zmtp

import (
	"bytes"
	"fmt"
)

// Command is a parsed command: 23/ZMTP, command-body = command-name command-data.
type Command struct {
	Name string // 1 to 255 letters
	Data []byte
}

// The commands of 23/ZMTP, 24/ZMTP-PLAIN, 26/CURVEZMQ and 37/ZMTP.
const (
	cmdHello     = "HELLO"
	cmdWelcome   = "WELCOME"
	cmdInitiate  = "INITIATE"
	cmdReady     = "READY"
	cmdError     = "ERROR"
	cmdMessage   = "MESSAGE"
	cmdSubscribe = "SUBSCRIBE"
	cmdCancel    = "CANCEL"
	cmdPing      = "PING"
	cmdPong      = "PONG"
)

// cmdLibzmqError stands for ERROR as libzmq since 4.3.0 sends it in PLAIN: a C escape in
// "\x05ERROR" swallowed the E, so that 5E ("^") stands where the size of the name should.
// It cannot be the name of another command: only letters are allowed.
const cmdLibzmqError = "^RROR"

// ParseCommand reads the body of a command frame. Data aliases body. The malformed ERROR
// of libzmq's PLAIN server is taken for what it means.
func ParseCommand(body []byte) (Command, error) {
	if data, ok := bytes.CutPrefix(body, []byte(cmdLibzmqError)); ok {
		return Command{cmdError, data}, nil
	}
	if len(body) == 0 || body[0] == 0 || len(body) < 1+int(body[0]) {
		return Command{}, fmt.Errorf("%w: command of %d octets without a whole name", ErrProtocol, len(body))
	}
	n := 1 + int(body[0])
	for _, o := range body[1:n] {
		if o < 'A' || o > 'Z' && o < 'a' || o > 'z' {
			return Command{}, fmt.Errorf("%w: octet %02x in the name of a command, which is of letters", ErrProtocol, o)
		}
	}
	return Command{string(body[1:n]), body[n:]}, nil
}

// Refusal is what an ERROR says: a [*RefusedError], or an error that wraps [ErrProtocol] if
// it is malformed. It is nil for any other command.
func (c Command) Refusal() error {
	if c.Name != cmdError {
		return nil
	}
	return parseError(c.Data)
}

// Append appends the body of the command's frame to dst. It panics on a name that is
// empty or longer than 255 octets: names are ours, or were parsed.
func (c Command) Append(dst []byte) []byte {
	if len(c.Name) == 0 || len(c.Name) > 255 {
		panic("zmtp: command name of a length that cannot be written: " + c.Name)
	}
	if c.Name != cmdLibzmqError {
		dst = append(dst, byte(len(c.Name)))
	}
	dst = append(dst, c.Name...)
	return append(dst, c.Data...)
}
