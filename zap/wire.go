package zap

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
)

// The limits of 27/ZAP, and our own where it has none.
const (
	// MaxString is the length of a string field in bytes: "All string fields are at most
	// 255 characters and are ASCII only". The identity has the same limit.
	MaxString = 255
	// MaxRequestID is the length of a request id in bytes. 27/ZAP has no limit.
	MaxRequestID = 255
	// MaxCredentials is the number of credential frames in a request with an unknown
	// mechanism. 27/ZAP has no limit.
	MaxCredentials = 16
	// MaxEnvelope is the number of frames before the delimiter. 27/ZAP has no limit.
	MaxEnvelope = 16

	requestFrames = 6 // before the credentials
	replyFrames   = 6
)

var (
	// ErrMalformed is wrapped by every error about frames that violate 27/ZAP.
	ErrMalformed = errors.New("zap: malformed")
	// ErrNotExpressible is wrapped by every error about a request or reply that has no
	// wire form, for instance because its user id is not ASCII.
	ErrNotExpressible = errors.New("zap: cannot be expressed in 27/ZAP")
)

// SplitEnvelope splits a 27/ZAP message after its first empty frame, the delimiter. envelope
// is the delimiter with the routing ids before it, to be sent back unchanged; body is the
// input of [ParseRequest] or [ParseReply].
func SplitEnvelope(frames [][]byte) (envelope, body [][]byte, err error) {
	for i, f := range frames {
		if len(f) == 0 {
			return frames[:i+1], frames[i+1:], nil
		}
		if i == MaxEnvelope {
			break
		}
	}
	return nil, nil, fmt.Errorf("%w: no delimiter within %d frames", ErrMalformed, MaxEnvelope+1)
}

// Frames returns the request's frames without the delimiter (27/ZAP, "The request message
// SHALL consist of the following message frames"). They alias the request's fields. Errors
// wrap [ErrNotExpressible].
func (r *Request) Frames() ([][]byte, error) {
	if err := r.check(ErrNotExpressible); err != nil {
		return nil, err
	}
	frames := [][]byte{
		[]byte(Version), []byte(r.ID), []byte(r.Domain), []byte(r.Address), r.RoutingID, []byte(r.Mechanism),
	}
	return append(frames, r.Credentials...), nil
}

// ParseRequest parses the frames of a request without the delimiter. The result aliases them.
// Errors wrap [ErrMalformed].
func ParseRequest(frames [][]byte) (*Request, error) {
	if len(frames) < requestFrames {
		return nil, fmt.Errorf("%w request: %d frames, want at least %d", ErrMalformed, len(frames), requestFrames)
	}
	if string(frames[0]) != Version {
		return nil, fmt.Errorf("%w request: version %s, want %s", ErrMalformed, quote(frames[0]), Version)
	}
	r := &Request{
		ID:          string(frames[1]),
		Domain:      string(frames[2]),
		Address:     string(frames[3]),
		RoutingID:   frames[4],
		Mechanism:   Mechanism(frames[5]),
		Credentials: frames[requestFrames:],
	}
	if err := r.check(ErrMalformed); err != nil {
		return nil, err
	}
	return r, nil
}

// credentialFrames is the number of credential frames of each mechanism.
var credentialFrames = map[Mechanism]int{NULL: 0, PLAIN: 2, CURVE: 1, BEARER: 1, TLS: 1}

// check verifies that the request conforms to 27/ZAP. The address may be any string: native
// servers put there whatever their system reports for an ipc peer.
func (r *Request) check(kind error) error {
	switch {
	case len(r.ID) > MaxRequestID:
		return fmt.Errorf("%w request: id of %d bytes, at most %d", kind, len(r.ID), MaxRequestID)
	case r.Domain == "":
		return fmt.Errorf("%w request: empty domain", kind)
	case r.Mechanism == "":
		return fmt.Errorf("%w request: empty mechanism", kind)
	case len(r.RoutingID) > MaxString:
		return fmt.Errorf("%w request: identity of %d bytes, at most %d", kind, len(r.RoutingID), MaxString)
	case len(r.Credentials) > MaxCredentials:
		return fmt.Errorf("%w request: %d credential frames, at most %d", kind, len(r.Credentials), MaxCredentials)
	}
	for _, f := range [...]struct{ name, value string }{
		{"domain", r.Domain}, {"address", r.Address}, {"mechanism", string(r.Mechanism)},
	} {
		if err := checkString(f.value); err != nil {
			return fmt.Errorf("%w request: %s %w", kind, f.name, err)
		}
	}
	if want, known := credentialFrames[r.Mechanism]; known && len(r.Credentials) != want {
		return fmt.Errorf("%w request: %d credential frames, want %d for %s", kind, len(r.Credentials), want, r.Mechanism)
	}
	if r.Mechanism == CURVE && len(r.Credentials[0]) != 32 {
		return fmt.Errorf("%w request: CURVE key of %d bytes, want 32", kind, len(r.Credentials[0]))
	}
	return nil
}

// IP returns the peer's address, with IPv4-mapped addresses as IPv4 and without a zone. ok is
// false if there is none, as on ipc, or if it is not an IP address.
func (r *Request) IP() (ip netip.Addr, ok bool) {
	ip, err := netip.ParseAddr(r.Address)
	return ip.Unmap().WithZone(""), err == nil
}

// Frames returns the frames, without the delimiter, of the reply to the request with the
// given id (27/ZAP, "The reply message SHALL consist of the following message frames"). Only a
// 200 carries the user id and metadata. A text that 27/ZAP does not allow is shortened and its
// other characters are replaced; a user id or metadata that it does not allow is an error that
// wraps [ErrNotExpressible].
func (r *Reply) Frames(id string) ([][]byte, error) {
	if !r.Status.Valid() {
		return nil, fmt.Errorf("%w: status %d", ErrNotExpressible, r.Status)
	}
	if len(id) > MaxRequestID {
		return nil, fmt.Errorf("%w: request id of %d bytes, at most %d", ErrNotExpressible, len(id), MaxRequestID)
	}
	frames := [][]byte{
		[]byte(Version), []byte(id), strconv.AppendInt(nil, int64(r.Status), 10), []byte(printable(r.Text)), {}, {},
	}
	if r.Status != OK {
		return frames, nil
	}
	if err := checkString(r.UserID); err != nil {
		return nil, fmt.Errorf("%w: user id %w", ErrNotExpressible, err)
	}
	if err := checkNames(r.Metadata); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotExpressible, err)
	}
	frames[4] = []byte(r.UserID)
	frames[5] = r.Metadata.Append(nil)
	return frames, nil
}

// ParseReply parses the frames, without the delimiter, of the reply to the request with the
// given id. Only a 200 keeps its user id and metadata, because some handlers (czmq's zauth)
// send the user that they have refused. Errors wrap [ErrMalformed].
func ParseReply(frames [][]byte, id string) (*Reply, error) {
	if len(frames) != replyFrames {
		return nil, fmt.Errorf("%w reply: %d frames, want %d", ErrMalformed, len(frames), replyFrames)
	}
	if string(frames[0]) != Version {
		return nil, fmt.Errorf("%w reply: version %s, want %s", ErrMalformed, quote(frames[0]), Version)
	}
	if string(frames[1]) != id {
		return nil, fmt.Errorf("%w reply: request id %s, want %q", ErrMalformed, quote(frames[1]), id)
	}
	r := &Reply{Text: string(frames[3])}
	switch string(frames[2]) {
	case "200":
		r.Status = OK
	case "300":
		r.Status = Temporary
	case "400":
		r.Status = Refused
	case "500":
		r.Status = Internal
	default:
		return nil, fmt.Errorf("%w reply: status %s, want 200, 300, 400 or 500", ErrMalformed, quote(frames[2]))
	}
	if err := checkString(r.Text); err != nil {
		return nil, fmt.Errorf("%w reply: status text %w", ErrMalformed, err)
	}
	if r.Status != OK {
		return r, nil
	}
	r.UserID = string(frames[4])
	if err := checkString(r.UserID); err != nil {
		return nil, fmt.Errorf("%w reply: user id %w", ErrMalformed, err)
	}
	var err error
	if r.Metadata, err = ParseMetadata(frames[5]); err != nil {
		return nil, fmt.Errorf("%w reply: %w", ErrMalformed, err)
	}
	if err := checkNames(r.Metadata); err != nil {
		return nil, fmt.Errorf("%w reply: %w", ErrMalformed, err)
	}
	return r, nil
}

// checkString checks "at most 255 characters and ASCII only". The error does not repeat the
// string, which may be a secret.
func checkString(s string) error {
	if len(s) > MaxString {
		return fmt.Errorf("of %d bytes, at most %d", len(s), MaxString)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return fmt.Errorf("with byte %#02x at %d, want printable ASCII", s[i], i)
		}
	}
	return nil
}

// printable shortens and replaces what does not fit into a string field.
func printable(s string) string {
	b := []byte(s[:min(len(s), MaxString)])
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// checkNames checks the names of metadata.
func checkNames(m Metadata) error {
	for _, p := range m {
		if !ValidName(p.Name) {
			return fmt.Errorf("metadata name %s: want 1 to 255 letters, digits, '-', '_', '.' and '+'", quote([]byte(p.Name)))
		}
	}
	return nil
}

// ValidName reports whether name is valid for a property in 27/ZAP and 23/ZMTP: 1 to 255
// name-char, name-char = ALPHA | DIGIT | "-" | "_" | "." | "+".
func ValidName(name string) bool {
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '+':
		default:
			return false
		}
	}
	return 0 < len(name) && len(name) <= 255
}

// quote returns the beginning of what a peer sent, quoted.
func quote(b []byte) string {
	const most = 16
	if len(b) > most {
		return strconv.Quote(string(b[:most])) + "…"
	}
	return strconv.Quote(string(b))
}
