package zmtp

import (
	"bytes"
	"fmt"

	"github.com/zwsbridge/zwsbridge/zap"
)

// Command is a parsed command: command-body = command-name command-data (23/ZMTP).
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

// cmdLibzmqError is the name under which a Command holds the malformed ERROR that libzmq
// since 4.3.0 sends in PLAIN: the C string "\x05ERROR" is compiled as "\x5E" "RROR", so the
// first byte is "^" instead of the size of the name. No other command can have this name,
// because names consist of letters.
const cmdLibzmqError = "^RROR"

// ParseCommand parses the body of a command frame. Data aliases body. The malformed ERROR of
// libzmq's PLAIN server is returned as ERROR. Errors wrap [ErrProtocol].
func ParseCommand(body []byte) (Command, error) {
	if data, ok := bytes.CutPrefix(body, []byte(cmdLibzmqError)); ok {
		return Command{cmdError, data}, nil
	}
	if len(body) == 0 || body[0] == 0 || len(body) < 1+int(body[0]) {
		return Command{}, fmt.Errorf("%w: command of %d bytes without a complete name", ErrProtocol, len(body))
	}
	n := 1 + int(body[0])
	for _, b := range body[1:n] {
		if b < 'A' || b > 'Z' && b < 'a' || b > 'z' {
			return Command{}, fmt.Errorf("%w: byte %02x in the name of a command, want letters", ErrProtocol, b)
		}
	}
	return Command{string(body[1:n]), body[n:]}, nil
}

// Append appends the body of the command's frame to dst. It panics if the name is empty or
// longer than 255 bytes, which no parsed command has.
func (c Command) Append(dst []byte) []byte {
	if len(c.Name) == 0 || len(c.Name) > 255 {
		panic(fmt.Sprintf("zmtp: command name of %d bytes, want 1 to 255", len(c.Name)))
	}
	if c.Name != cmdLibzmqError {
		dst = append(dst, byte(len(c.Name)))
	}
	dst = append(dst, c.Name...)
	return append(dst, c.Data...)
}

// Refusal returns the meaning of an ERROR command: a [*RefusedError], or an error that wraps
// [ErrProtocol] if the command is malformed. It returns nil for any other command.
func (c Command) Refusal() error {
	if c.Name != cmdError {
		return nil
	}
	return parseError(c.Data)
}

// parseError parses the data of an ERROR: error-reason = OCTET 0*255VCHAR (23/ZMTP). The
// result is never nil: it is a *RefusedError, or wraps ErrProtocol.
func parseError(data []byte) error {
	if len(data) == 0 || len(data) != 1+int(data[0]) {
		return fmt.Errorf("%w: malformed ERROR: the size of its reason is wrong", ErrProtocol)
	}
	switch reason := string(data[1:]); reason {
	case "300":
		return &RefusedError{Status: zap.Temporary}
	case "400":
		return &RefusedError{Status: zap.Refused}
	case "500":
		return &RefusedError{Status: zap.Internal}
	default:
		return &RefusedError{Reason: reason}
	}
}
